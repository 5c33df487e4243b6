"""Any matrix with gene names over one list of genes."""

import copy
from numbers import Real

import numpy as np
from sklearn.base import _clone_parametrized, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from .._fitting import all_or_nothing
from .._inputs import check_X, column_names, is_anndata
from .._training.warning import warn_user
from ._alignment import (
    Alignment,
    Matching,
    first_names,
    looks_transposed,
    mixed_kinds,
    unique_genes,
)
from ._base import Preprocessor, blocks
from ._columns import gene_names, row_names, take_columns, without_names
from ._reference import genes_of_estimator, genes_of_sequence

SHARE = Interval(Real, 0, 1, closed="both")


class GeneAligner(Preprocessor):
    """Bring any matrix with gene names to one list of genes.

    The columns of a new matrix may be more or fewer than those of the list and in another order.
    Ensembl ids match whatever their versions (``ENSG00000141510.16``). Columns that mean the same
    gene are merged, missing genes are filled, mostly with their mean, and columns that are no gene
    of the list are left out, whatever they hold.

    Parameters
    ----------
    reference : estimator, AnnData, data frame, sequence of str or None, default=None
        Whose genes the list is:

        - a fitted estimator with ``feature_names_in_``, such as a pretrained encoder. Missing genes
          are filled with its ``mean_`` (of an `SSLClassifier`, that of its encoder), if it has one.
          Of a `Pipeline` the first step counts, which sees X as it comes; of another `GeneAligner`
          its list and what it fills with;
        - an AnnData or a data frame, samples in rows. Missing genes are filled with its means;
        - the names themselves;
        - None: the genes of the X given to `fit`.

        Where that gives no mean, the mean over the X given to `fit` fills, and 0 where that has
        not got the gene either; `fit` warns of it.
    duplicates : {"mean", "sum", "max", "first", "error"}, default="mean"
        How columns that mean the same gene are merged. "sum" is right for counts.
    warn_missing : float, default=0.1
        Beyond this share of missing genes `transform` warns.
    max_missing : float, default=0.5
        Beyond this share of missing genes `fit` and `transform` raise.
    layer : str or None, default=None
        The layer of an AnnData to read, of `reference` too; its ``X`` by default.

    Attributes
    ----------
    genes_ : ndarray of shape (n_genes,) or None
        The list, as the reference spells it. None if neither X nor the reference has names.
    fill_values_ : ndarray of shape (n_genes,), float64
        What missing genes are filled with, in the unit of X.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names; only if X had them.

    Raises
    ------
    ValueError
        In `fit` and `transform`: if too many genes are missing; the message says so if the two
        sides have different kinds of identifiers, or if X must be transposed. If the names of
        columns are bytes, numbers or tuples.

    See Also
    --------
    GeneFilter : Leaves genes out that are hardly expressed.

    Notes
    -----
    `reference` is kept as it is by scikit-learn's ``clone``, so that a pretrained encoder survives
    a grid search.

    An array has no names. It is taken to have the columns of `fit`, or those of the reference if X
    had no names there either.

    scikit-learn hands an array from step to step, and the names are lost on the way to the encoder,
    which then warns. ``pipeline.set_output(transform="pandas")`` lets it check them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sslgex.preprocessing import GeneAligner
    >>> train = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], columns=["ESR1", "GATA3", "KRT5"])
    >>> aligner = GeneAligner(warn_missing=0.4).fit(train)
    >>> new = pd.DataFrame([[7.0, 8.0, 10.0, 0.0]], columns=["KRT5", "ESR1", "ESR1", "ACTB"])
    >>> aligner.transform(new)
    array([[9., 3., 7.]])
    >>> print(aligner.report(new))
    3 genes, 4 columns of X
    missing: 1 (GATA3)
    unknown: 1 (ACTB)
    duplicated: 1 (ESR1)
    """

    _parameter_constraints: dict = {
        **Preprocessor._parameter_constraints,
        "reference": "no_validation",  # `_read_reference` does it
        "duplicates": [StrOptions({"mean", "sum", "max", "first", "error"})],
        "warn_missing": [SHARE],
        "max_missing": [SHARE],
    }

    def __init__(
        self, reference=None, *, duplicates="mean", warn_missing=0.1, max_missing=0.5, layer=None
    ):
        self.reference = reference
        self.duplicates = duplicates
        self.warn_missing = warn_missing
        self.max_missing = max_missing
        self.layer = layer

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y=None):
        """Learn the list of genes and what fills those that are missing.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_features)
            Expression profiles, samples in rows.
        y : None
            Ignored; present for scikit-learn's Pipeline.

        Returns
        -------
        self : GeneAligner
            The fitted step.

        Warns
        -----
        UserWarning
            If X, being the reference, mixes kinds of identifiers: one gene may be in it twice. If
            neither X nor the reference has a mean for some genes: they are filled with 0.
        """
        self.genes_, means = self._read_reference()
        matching, matrix = self._match(X, reset=True)
        found = self._check_match(matching, X)
        used, matrix = self._read(X, matching, matrix)
        if means is None:
            if len(found.missing):
                warn_user(
                    f"{_missing(found)} and the reference gives no mean: they are filled with 0. "
                    "Pass the encoder itself, or an AnnData or data frame with these genes."
                )
            zeros = np.zeros(len(used.genes))
            total = sum(
                used.align(block, self.duplicates, zeros).sum(axis=0) for _, block in blocks(matrix)
            )
            means = total / matrix.shape[0]
        self.fill_values_ = means
        return self

    def transform(self, X):
        """Bring expression profiles to the list of genes.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_columns)
            Profiles over any genes. Never written to.

        Returns
        -------
        X_new : {ndarray, sparse matrix, data frame} of shape (n_samples, n_genes)
            Profiles over ``genes_``; float64 for float64 input, float32 for any other.

        Warns
        -----
        UserWarning
            If more than `warn_missing` of the genes are missing.
        """
        check_is_fitted(self)
        matching, matrix = self._match(X, reset=False)
        found = self._check_match(matching, X)
        used, matrix = self._read(X, matching, matrix)
        if found.share_missing > self.warn_missing:
            warn_user(
                f"{_missing(found)} and filled, each with one value for all samples "
                f"(`fill_values_`).{matching.likely_cause(row_names(X))}"
            )
        return self._through(
            lambda block, start: used.align(block, self.duplicates, self.fill_values_),
            matrix,
            X,
        )

    def report(self, X) -> Alignment:
        """Tell which genes of the list X lacks, has several times, or has beside them.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, AnnData} of shape (n_samples, n_columns)
            Profiles over any genes.

        Returns
        -------
        alignment : Alignment
            With the arrays of names ``missing``, ``unknown`` and ``duplicated``, and
            ``share_missing``; prints as a summary.
        """
        check_is_fitted(self)
        return self._match(X, reset=False)[0].alignment()

    def get_feature_names_out(self, input_features=None):
        """Return the genes of the list, as the reference spells them.

        Parameters
        ----------
        input_features : array-like of shape (`n_features_in_`,), str, or None, default=None
            Names of the columns of `fit`, if that had none; of no effect on named genes.

        Returns
        -------
        feature_names_out : ndarray of shape (n_genes,), str
            Names of the columns that `transform` returns.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return names if self.genes_ is None else self.genes_

    def set_params(self, **params):
        """Set parameters; those of the reference are refused.

        Parameters
        ----------
        **params
            Parameters of this step.

        Returns
        -------
        self : GeneAligner
            The step.

        Raises
        ------
        ValueError
            For ``reference__name``, before anything is changed: the reference is the user's own.
        """
        inner = sorted(name for name in params if name.startswith("reference__"))
        if inner:
            raise ValueError(
                f"{inner[0]} cannot be set: the reference is used as it is, by every clone of this "
                "step. Set the parameter on the reference itself, or pass another one."
            )
        return super().set_params(**params)

    def __sklearn_clone__(self):
        # A clone of the reference would come unfitted, or copied with all its values.
        bare = copy.copy(self)
        bare.reference = None
        copied = _clone_parametrized(bare)
        copied.reference = self.reference
        return copied

    # The parts of `fit` and `transform`

    def _read_reference(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the genes and the means that the reference gives."""
        reference = self.reference
        if reference is None:
            return None, None
        if column_names(reference) is not None:
            return self._learn_from(reference)
        if hasattr(reference, "fit"):
            return genes_of_estimator(reference)
        return genes_of_sequence(reference), None

    def _learn_from(self, reference) -> tuple[np.ndarray, np.ndarray]:
        """Return the genes of a data frame or AnnData, and their means."""
        layer = self.layer if is_anndata(reference) else None
        try:
            learned = GeneAligner(duplicates=self.duplicates, layer=layer).fit(reference)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{error}\nThis X is the reference.") from None
        if learned.genes_ is None:
            raise ValueError("The columns of the reference are numbers, not gene names (str).")
        return learned.genes_, learned.fill_values_

    def _match(self, X, *, reset: bool):
        """Return how the columns of X match the genes; and X, checked, if its columns are unnamed.

        Names come before values: what is left out may hold anything.
        """
        names = gene_names(X)
        if names is not None and (reset or self.genes_ is not None):
            if reset:
                self.n_features_in_, self.feature_names_in_ = len(names), names
            if self.genes_ is None:
                _check_list(names)
                self.genes_ = unique_genes(names)
            return Matching(names, self.genes_), None
        matrix = check_X(self, X, reset=reset, layer=self.layer)
        genes = self.genes_
        if genes is None:  # no names anywhere: columns pass as they are
            genes = np.array([f"x{j}" for j in range(matrix.shape[1])], dtype=object)
        columns = getattr(self, "feature_names_in_", genes)
        if len(columns) != matrix.shape[1]:
            raise ValueError(
                f"X has {matrix.shape[1]:,} columns without names, but the reference has "
                f"{len(columns):,} genes. Pass a data frame or an AnnData with gene names."
            )
        return Matching(columns, genes), matrix

    def _read(self, X, matching: Matching, matrix):
        """Return the columns of X that are genes as a checked matrix, and how those match."""
        if matrix is not None:
            return matching, matrix
        known = matching.gene_of >= 0
        if not known.any():  # of no column nothing could be checked
            known[:] = True
        X, names = take_columns(X, np.flatnonzero(known)), matching.columns[known]
        # Compared with no other names: they need not be those of `fit`.
        own, values, layer = type(self)(), X, self.layer
        if len(set(names)) < len(names):
            # scikit-learn reads no names where one is there twice.
            values, layer = without_names(X, layer), None
        else:
            own.n_features_in_, own.feature_names_in_ = len(names), names
        return Matching(names, matching.genes), check_X(own, values, reset=False, layer=layer)

    def _check_match(self, matching: Matching, X) -> Alignment:
        """Return how X compares with the genes; raise if it cannot be aligned."""
        found = matching.alignment()
        if self.duplicates == "error" and len(found.duplicated):
            raise ValueError(
                f"{len(found.duplicated):,} genes are in several columns of X (first: "
                f"{first_names(found.duplicated)}), and duplicates='error'. Merge those columns, "
                "or set duplicates to the rule by which to do so."
            )
        if found.share_missing > self.max_missing:
            raise ValueError(
                f"{_missing(found)}, more than max_missing={self.max_missing} allows."
                f"{matching.likely_cause(row_names(X))}"
            )
        return found


def _check_list(genes: np.ndarray) -> None:
    """Raise for samples in place of genes, warn of genes that may be listed twice."""
    if looks_transposed(genes):
        raise ValueError(
            f"The columns of X look like samples (first: {first_names(genes)}), not genes: X must "
            "be samples x genes, so transpose it (X.T)."
        )
    mixed = mixed_kinds(genes)
    if mixed:
        warn_user(
            f"The genes of X are {mixed}: a gene that has names of both kinds counts as two, and "
            "a matrix with one kind will lack the others. Translate them into one kind."
        )


def _missing(found: Alignment) -> str:
    return (
        f"{len(found.missing):,} of {found.n_genes:,} genes ({found.share_missing:.0%}) are "
        f"missing from X (first: {first_names(found.missing)})"
    )
