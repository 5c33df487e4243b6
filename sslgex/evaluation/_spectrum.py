"""How many dimensions of an embedding vary, and how evenly: dimensional collapse."""

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from ._held_out import View, check_embeds, collect, embed, look, mean_and_range, samples_of, table
from ._results import require_pandas

RANKME_EPS = 1e-7  # Garrido et al. (2023)


class Spectrum(NamedTuple):
    """What the embedding of some samples shows."""

    n_samples: int
    n_dimensions: int
    singular_values: np.ndarray
    n_collapsed: int
    effective_rank: float
    rankme: float


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class EmbeddingSpectrum:
    """Spectra of embeddings of held-out samples.

    Attributes
    ----------
    entries : list of str
        Names of the estimators, in the order given.
    tol : float
        As given.
    n_samples : ndarray of shape (n_splits,), int
        Held-out samples of every split; one split, of all samples, if all came fitted.
    n_dimensions : dict of str to ndarray of shape (n_splits,), int
        Of the embedding.
    n_measurable : dict of str to ndarray of shape (n_splits,), int
        Of these as many as the samples can show: ``min(n_samples - 1, n_dimensions)``.
    singular_values : dict of str to list of ndarray of shape (n_measurable,)
        Per split those of the covariance, descending, in squared units of the embedding.
    n_collapsed : dict of str to ndarray of shape (n_splits,), int
        Of the measurable dimensions those that have collapsed.
    effective_rank : dict of str to ndarray of shape (n_splits,)
        Of the centred embedding.
    rankme : dict of str to ndarray of shape (n_splits,)
        The same of the embedding as it is.
    """

    entries: list[str]
    tol: float
    n_samples: np.ndarray
    n_dimensions: dict[str, np.ndarray]
    n_measurable: dict[str, np.ndarray]
    singular_values: dict[str, list[np.ndarray]]
    n_collapsed: dict[str, np.ndarray]
    effective_rank: dict[str, np.ndarray]
    rankme: dict[str, np.ndarray]

    def to_frame(self):
        """Return one row per estimator and split.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "n_samples", "n_dimensions", "n_measurable", "n_collapsed",
            "effective_rank" and "rankme"; the singular values are in `singular_values`.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = require_pandas("to_frame")
        splits = range(len(self.n_samples))
        index = pd.MultiIndex.from_product([self.entries, splits], names=["entry", "split"])
        frame = index.to_frame(index=False)
        frame["n_samples"] = np.tile(self.n_samples, len(self.entries))
        for column in ("n_dimensions", "n_measurable", "n_collapsed", "effective_rank", "rankme"):
            found = getattr(self, column)
            frame[column] = np.concatenate([found[name] for name in self.entries])
        return frame

    def __repr__(self) -> str:
        rows = [["", "dimensions", "collapsed", "effective rank", "RankMe"]]
        notes = []
        for name in self.entries:
            collapsed = mean_and_range(self.n_collapsed[name], ".3g")
            measurable = mean_and_range(self.n_measurable[name], ".3g")
            rows.append(
                [
                    name,
                    mean_and_range(self.n_dimensions[name], ".3g"),
                    f"{collapsed} of {measurable}",
                    mean_and_range(self.effective_rank[name], ".1f"),
                    mean_and_range(self.rankme[name], ".1f"),
                ]
            )
            if (self.n_measurable[name] < self.n_dimensions[name]).any():
                notes.append(
                    f"{name!r} has more dimensions than its held-out samples can show: the others "
                    "are neither collapsed nor not."
                )
        head = f"Embedding spectrum: {samples_of(self.n_samples)}"
        return "\n".join([head, *table(rows), *notes])


def embedding_spectrum(
    estimators,
    X,
    y=None,
    *,
    X_unlabeled=None,
    groups=None,
    cv=5,
    tol=1e-6,
    n_jobs=None,
    random_state=None,
    cache=None,
):
    """Measure how many dimensions embeddings of held-out samples use.

    With Z the embedding of n samples in d dimensions and m its mean, the singular values of the
    covariance ``(Z - m)' (Z - m) / (n - 1)`` are the variances of the embedding along its
    principal axes. Where the smallest are next to nothing, the embedding has collapsed to fewer
    dimensions than it has columns [1]_. Two measures need no threshold:

    - the effective rank, ``exp(-sum(p * log(p)))`` with ``p`` the singular values of ``Z - m``
      divided by their sum [2]_: d if all directions vary alike, 1 if one varies alone, 0 if none
      does;
    - RankMe [3]_, the same of Z itself, ``p`` being increased by 1e-7. What all embeddings have in
      common counts as a direction there, and a large one hides the others.

    Parameters
    ----------
    estimators : estimator, dict of str to estimator, or list of (str, estimator)
        Transformers, or classifiers with an embedding: of an `SSLClassifier` that of its encoder
        after fine-tuning, of a Pipeline that ends in a classifier the output of its last
        transformer. Unfitted ones are fitted on the training samples of every split: transformers
        without labels and on `X_unlabeled` too. Fitted ones are used as they are, and should have
        seen none of the samples.
    X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
        Expression profiles, samples in rows. All are embedded if all estimators are fitted.
    y : array-like of shape (n_samples,), default=None
        Labels: to fit classifiers, and to stratify the splits.
    X_unlabeled : matrix or list of matrices with n_features columns, default=None
        Samples without labels to fit on; none of those in `X`.
    groups : array-like of shape (n_samples,), default=None
        Patient or study of every sample; never divided between training and test samples.
    cv : int, splitter or iterable of (train, test), default=5
        Splits; the test samples are embedded. A number of folds is shuffled, stratified by `y`,
        and keeps `groups` together.
    tol : float, default=1e-06
        A dimension has collapsed if its singular value is at most `tol` times the largest. That is
        a thousandth of the largest standard deviation: a classifier with a penalty on its weights,
        or one of nearest neighbours, is at chance on such a direction (from 1e-4 on, in trials),
        while rounding in float32 stays below 1e-12.
    n_jobs : int or None, default=None
        Parallel jobs, in whatever backend `joblib.parallel_config` names.
    random_state : int, RandomState instance or None, default=None
        Seed of splits, and of every estimator without one of its own.
    cache : str, path or None, default=None
        Directory that keeps fits and what was found, as in `label_efficiency_curve`. Other
        diagnoses with the same samples, splits and seed find the fits there. Needs an integer
        `random_state`.

    Returns
    -------
    spectrum : EmbeddingSpectrum
        Per estimator and split; ``to_frame()`` tabulates it.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable, an estimator has no embedding, a split has one test sample
        only, or an embedding is not finite.

    See Also
    --------
    sslgex.plotting.SpectrumDisplay : The picture.
    alignment_uniformity : Where embeddings lie, other than how many directions they vary in.

    Notes
    -----
    n samples show n - 1 directions at most. If the embedding has more, the others are not
    measured: they are neither collapsed nor not. Both ranks are then too small; compare
    estimators on the same samples, and better on many more samples than dimensions.

    A dimension that is constant has collapsed. So has all of an embedding whose samples differ by
    less than float32 can tell at their distance from the origin.

    References
    ----------
    .. [1] Jing, Vincent, LeCun, Tian (2022). Understanding dimensional collapse in contrastive
       self-supervised learning. ICLR.
    .. [2] Roy, Vetterli (2007). The effective rank: a measure of effective dimensionality. EUSIPCO.
    .. [3] Garrido, Balestriero, Najman, LeCun (2023). RankMe: assessing the downstream performance
       of pretrained self-supervised representations by their rank. ICML.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sslgex import ScarfTransformer
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import embedding_spectrum
    >>> X = make_expression(n_samples=100, n_genes=30, random_state=0).data
    >>> entries = {"SCARF": ScarfTransformer((8,), max_epochs=3), "PCA": PCA(5)}
    >>> spectrum = embedding_spectrum(entries, X, cv=2, random_state=0)
    >>> spectrum.n_collapsed["PCA"]
    array([0, 0])
    """
    if isinstance(tol, bool) or not isinstance(tol, Real) or not 0 <= float(tol) < 1:
        raise ValueError(f"tol must be a number from 0 to below 1, got {tol!r}.")
    found = look(
        measure_spectrum,
        estimators,
        X,
        y,
        X_unlabeled=X_unlabeled,
        groups=groups,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        cache=cache,
        check=check_embeds,
        tol=float(tol),
    )
    values = {name: [spectrum.singular_values for spectrum in s] for name, s in found.items()}
    return EmbeddingSpectrum(
        entries=list(found),
        tol=float(tol),
        n_samples=next(iter(collect(found, "n_samples").values())),
        n_dimensions=collect(found, "n_dimensions"),
        n_measurable={name: np.array([len(v) for v in splits]) for name, splits in values.items()},
        singular_values=values,
        n_collapsed=collect(found, "n_collapsed"),
        effective_rank=collect(found, "effective_rank"),
        rankme=collect(found, "rankme"),
    )


def measure_spectrum(fitted, view: View, tol: float) -> Spectrum:
    """Return the spectrum of the embedding of held-out samples."""
    Z = embed(fitted, view.X)
    n, d = Z.shape
    if n < 2:
        raise ValueError("One test sample of a split shows no spread: use a smaller cv.")
    # From the first sample, so that what is constant becomes exactly 0.
    centred = Z - Z[0]
    centred -= centred.mean(axis=0)
    lengths = np.linalg.svd(centred, compute_uv=False)[: n - 1]
    variances = lengths**2 / (n - 1)
    rounding = np.finfo(np.float32).eps ** 2 * np.square(Z).sum(axis=1).mean()
    limit = max(tol * variances[0], rounding)
    p = np.linalg.svd(Z, compute_uv=False)
    return Spectrum(
        n_samples=n,
        n_dimensions=d,
        singular_values=variances,
        n_collapsed=int(np.sum((variances <= limit) | (variances == 0))),
        effective_rank=exp_entropy(lengths / lengths.sum()) if lengths.any() else 0.0,
        rankme=exp_entropy(p / (p.sum() or 1.0) + RANKME_EPS),
    )


def exp_entropy(p: np.ndarray) -> float:
    """Return exp(-sum(p * log(p))), where 0 * log(0) is 0."""
    p = p[p > 0]
    return float(np.exp(-(p * np.log(p)).sum()))
