"""Batch effects, removed as ComBat does, towards a reference that `fit` stores."""

from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin, _fit_context
from sklearn.utils.validation import check_is_fitted

from .._fitting import all_or_nothing
from .._inputs import check_values, with_obs_names
from ._base import Preprocessor, blocks
from ._batch_labels import batch_labels, warn_if_confounded
from ._combat import Moments, batch_effect, moments, pool

UNNAMED = ""  # the one batch of a fit without batches; no user's batch is called so
ONE_SAMPLE = (
    "Of one sample, what is its batch and what is itself cannot be told, with mean_only=True "
    "neither."
)


class BatchCorrector(OneToOneFeatureMixin, Preprocessor):
    """Remove batch effects by ComBat, with a reference learned in `fit`.

    ComBat [1]_ takes a batch for a shift and a change of spread of every gene. Both are estimated
    per gene and drawn towards those of all genes by empirical Bayes, so that small batches are not
    corrected by their noise. Usually it is run once on all samples, those of the test included.
    Here `fit` estimates the reference and the effects of its batches on the training samples, and
    `transform` applies them.

    Parameters
    ----------
    batch : str, default=None
        Column of AnnData's `obs` with the batch of every sample. Otherwise pass `batch` to `fit`
        and `transform`; without either all samples are one batch, and pass unchanged.
    mean_only : bool, default=False
        Whether to remove the shift alone. For batches that differ in what they are made of: their
        spreads may differ for good reasons.
    ref_batch : str or number, default=None
        A batch that stays as it is, to the bit; the others are moved to it. By default all batches
        are moved to their common mean and spread.
    layer : str, default=None
        Layer of an AnnData to read; its `X` by default.

    Attributes
    ----------
    batches_ : ndarray of shape (n_batches,)
        The batches of `fit`, sorted; one, ``""``, if none were named.
    counts_ : ndarray of shape (n_batches,), int
        Number of samples of each.
    mean_ : ndarray of shape (n_features,)
        Mean of every gene, of the samples of `fit` or of `ref_batch`, in the units of X.
    scale_ : ndarray of shape (n_features,)
        Standard deviation of every gene within batches, or within `ref_batch`. 0 for a gene that
        is constant there.
    shift_ : ndarray of shape (n_batches, n_features)
        By how much a batch lies above `mean_`, in the units of X: the paper's γ* times `scale_`.
    spread_ : ndarray of shape (n_batches, n_features)
        By which factor the variance in a batch is larger than ``scale_ ** 2``: the paper's δ²*.
    n_features_in_ : int
        Number of genes.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the genes; only if X had them.

    See Also
    --------
    LogCounts : Makes of counts the logs that this step expects.

    Notes
    -----
    X holds logs or other values with additive effects, not counts. A value becomes
    ``(x - mean_ - shift_) / sqrt(spread_) + mean_``.

    *Known batches.* What `transform` makes of a sample depends on that sample and its batch alone,
    whatever comes with it. `fit_transform` is `fit`, then `transform`.

    *New batches.* A batch that was not in `fit` is estimated from its own samples, against
    `mean_` and `scale_`: they then depend on each other, though not on samples of other batches.
    Two samples are the least, and ten are better; of one alone, what is its batch and what is
    itself cannot be told.

    *Labels* are never used for the estimates, and there are no covariates: the labels of new
    samples are what is asked for. `fit` looks at `y` for a warning alone, where batches and classes
    are confounded. Where the classes' shares differ between batches, ComBat removes a part of the
    difference of classes too.

    *The numbers* agree with inmoose's ``pycombat_norm`` without covariates: all variances are
    divided by n (R's sva divides some by n - 1), and the iteration stops once no estimate changes
    by more than 1e-4 of itself. Where inmoose returns NaN they go on: a gene that is constant
    within all batches has no noise, so its shift is removed whole, and it takes no part in the
    estimates of others. A gene that is constant in one batch only is like any other. A batch of one
    sample is refused, as by inmoose (sva would correct means only).

    *In a Pipeline* batches come by metadata routing, as below. scikit-learn 1.8 and
    later passes them to the Pipeline's own `score`, and none to a scorer given by name nor in
    ``cross_val_predict``.
    Where this is the first step, an AnnData and the parameter `batch` serve everywhere.

    A sparse X comes out dense: a shift leaves no zeros.

    References
    ----------
    .. [1] Johnson, W. E., Li, C. and Rabinovic, A. (2007). Adjusting batch effects in microarray
       expression data using empirical Bayes methods. Biostatistics 8(1), 118-127.

    Examples
    --------
    >>> import numpy as np
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.preprocessing import BatchCorrector
    >>> sim = make_expression(n_samples=60, n_genes=50, n_batches=2, batch_effect=2, random_state=0)
    >>> X, y, batch = sim.data, sim.target, sim.batch
    >>> corrector = BatchCorrector().fit(X, batch=batch)
    >>> Z = corrector.transform(X, batch=batch)
    >>> for values in (X, Z):  # how far the two batches are apart, in log2 units
    ...     apart = values[batch == 0].mean(axis=0) - values[batch == 1].mean(axis=0)
    ...     print(f"{abs(apart).mean():.1f}")
    2.0
    0.0

    A new sample of a known batch comes alone:

    >>> np.array_equal(corrector.transform(X[:1], batch=batch[:1])[0], Z[0])
    True

    In a Pipeline, whatever splits the samples splits their batches:

    >>> import sklearn
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.pipeline import make_pipeline
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     step = BatchCorrector().set_fit_request(batch=True).set_transform_request(batch=True)
    ...     pipeline = make_pipeline(step, LogisticRegression(max_iter=1000))
    ...     scores = cross_validate(pipeline, X, y, params={"batch": batch})
    """

    _parameter_constraints: dict = {
        **Preprocessor._parameter_constraints,
        "batch": [str, None],
        "mean_only": ["boolean"],
        "ref_batch": [str, Real, None],
    }

    def __init__(self, batch=None, *, mean_only=False, ref_batch=None, layer=None):
        self.batch = batch
        self.mean_only = mean_only
        self.ref_batch = ref_batch
        self.layer = layer

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y=None, *, batch=None):
        """Estimate the reference and the effects of the batches.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows: logs, not counts.
        y : array-like of shape (n_samples,), default=None
            Classes. For a warning alone, where they are confounded with the batches.
        batch : array-like of shape (n_samples,), default=None
            The batch of every sample: text or numbers. Goes before the column that the
            constructor names.

        Returns
        -------
        self : estimator
            The fitted step.

        Raises
        ------
        ValueError
            If X, `batch` or a parameter is unusable, or a batch has one sample only.
        """
        matrix = self._check(X, reset=True)
        check_values(self, [matrix])
        labels = batch_labels(X, batch, self.batch)
        if labels is None:
            labels = np.full(matrix.shape[0], UNNAMED)
        self.batches_, self.counts_ = np.unique(labels, return_counts=True)
        self._refuse_single_samples()
        reference = self._index_of_reference()
        of_batches = [moments(matrix[labels == name]) for name in self.batches_]
        self.mean_, self.scale_ = pool(of_batches if reference is None else [of_batches[reference]])
        self.shift_ = np.zeros((len(of_batches), len(self.mean_)))
        self.spread_ = np.ones_like(self.shift_)
        for i, name in enumerate(self.batches_.tolist()):
            if i != reference:
                self.shift_[i], self.spread_[i] = self._effect(name, of_batches[i])
        if y is not None and len(of_batches) > 1:
            warn_if_confounded(labels, y)
        return self

    def fit_transform(self, X, y=None, *, batch=None):
        """Fit, then transform the same samples.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : array-like of shape (n_samples,), default=None
            Classes; see `fit`.
        batch : array-like of shape (n_samples,), default=None
            The batch of every sample.

        Returns
        -------
        X_new : {ndarray, data frame} of shape (n_samples, n_features)
            As ``fit(X, y, batch=batch).transform(X, batch=batch)``.
        """
        return self.fit(X, y, batch=batch).transform(X, batch=batch)

    def transform(self, X, *, batch=None):
        """Remove the effects of the batches.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Profiles over the genes of `fit`, in their order. Never written to.
        batch : array-like of shape (n_samples,), default=None
            The batch of every sample. A batch that was not in `fit` needs two samples or more. May
            be left out if `fit` had one batch, or none: then X passes unchanged.

        Returns
        -------
        X_new : {ndarray, data frame} of shape (n_samples, n_features)
            float64 for float64 input, float32 for any other. A data frame if `set_output` says so.

        Raises
        ------
        ValueError
            If `batch` is missing after a fit with several, or a new batch has one sample only.
        """
        check_is_fitted(self)
        matrix = self._check(X, reset=False)
        labels = batch_labels(X, batch, self.batch)
        if labels is None:
            labels = np.full(matrix.shape[0], self._only_batch())
        self._refuse_strange_names(labels)
        names, which = np.unique(labels, return_inverse=True)
        effects = [self._known_or_new_effect(name, matrix, labels) for name in names.tolist()]
        shift, spread = np.array(effects).swapaxes(0, 1)
        # Not centred and moved back: so what has no effect passes unchanged, to the bit.
        factor = 1 / np.sqrt(spread)
        offset = self.mean_ - (self.mean_ + shift) * factor
        Z = np.empty(matrix.shape, np.float64 if matrix.dtype == np.float64 else np.float32)
        for start, block in blocks(matrix):
            of_row = which[start : start + len(block)]
            block *= factor[of_row]
            block += offset[of_row]
            Z[start : start + len(block)] = block
        return with_obs_names(self, Z, X)

    # The parts of `fit`

    def _index_of_reference(self) -> int | None:
        """Return the number of the batch that stays as it is, None if all are moved."""
        names = self.batches_.tolist()
        if self.ref_batch is None:
            return 0 if len(names) == 1 else None
        if names == [UNNAMED]:
            raise ValueError(f"ref_batch={self.ref_batch!r}, but no batches are named. Pass batch.")
        if self.ref_batch not in names:
            raise ValueError(
                f"ref_batch={self.ref_batch!r} is none of the batches: {_some(names)}."
            )
        return names.index(self.ref_batch)

    def _refuse_single_samples(self) -> None:
        """Raise for batches of one sample, also where only means are corrected, as inmoose does."""
        single = self.batches_[self.counts_ == 1].tolist()
        if single:
            raise ValueError(
                f"{len(single):,} of {len(self.batches_):,} batches have one sample only: "
                f"{_some(single)}. {ONE_SAMPLE} Merge it with a batch of the same protocol, or "
                "leave it out; in cross-validation stratify by batch."
            )

    def _effect(self, name, of_batch: Moments) -> tuple[np.ndarray, np.ndarray]:
        """Estimate shift and spread of a batch."""
        if not self.mean_only and not of_batch.variance[self.scale_ > 0].any():
            raise ValueError(
                f"The {of_batch.n:,} samples of batch {name!r} are the same in every gene that "
                "varies in the reference, so there is no spread to estimate. If they are copies of "
                "one sample leave them out; or set mean_only=True."
            )
        return batch_effect(of_batch, self.mean_, self.scale_, mean_only=self.mean_only)

    # The parts of `transform`

    def _only_batch(self):
        """Return the batch of samples that come without one."""
        if len(self.batches_) > 1:
            raise ValueError(
                f"Of which batch are these samples? fit had {len(self.batches_):,}: "
                f"{_some(self.batches_.tolist())}. Pass transform(X, batch=...); in a Pipeline "
                "enable metadata routing and call set_transform_request(batch=True). Scorers given "
                "by name and cross_val_predict pass no batches on: leave scoring=None, or let "
                "BatchCorrector(batch=...) read them from an AnnData."
            )
        return self.batches_[0]

    def _refuse_strange_names(self, labels: np.ndarray) -> None:
        """Raise where the names of batches cannot mean those of `fit`."""
        here, in_fit = labels.tolist()[0], self.batches_.tolist()[0]
        if here != UNNAMED and in_fit == UNNAMED:
            raise ValueError(
                "batch was passed to transform, but not to fit, which took all samples for one "
                "batch. Pass it to both; in a Pipeline also call set_fit_request(batch=True)."
            )
        if isinstance(here, str) != isinstance(in_fit, str):
            raise ValueError(
                f"batch holds values such as {here!r}, in fit it held such as {in_fit!r}. Pass the "
                "same type, or none of them is known."
            )

    def _known_or_new_effect(self, name, matrix, labels) -> tuple[np.ndarray, np.ndarray]:
        """Return shift and spread of a batch: as stored, or of its samples in X."""
        names = self.batches_.tolist()
        if name in names:
            i = names.index(name)
            return self.shift_[i], self.spread_[i]
        of_batch = matrix[labels == name]
        if of_batch.shape[0] == 1:
            raise ValueError(
                f"Batch {name!r} was not in fit, which had {_some(names)}, and has one sample "
                f"here. {ONE_SAMPLE} Pass two samples of it or more, better ten; or, if it was "
                "made by the protocol of a batch of fit, pass that batch's name."
            )
        check_values(self, [of_batch])
        return self._effect(name, moments(of_batch))


def _some(names: list) -> str:
    """Return the first names of a list, for a message."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + more
