"""What may stand as the reference of a GeneAligner, and the genes and means it gives."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._alignment import unique_genes


def genes_of_estimator(estimator) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the genes a fitted estimator knows, and their means if it keeps them."""
    if isinstance(estimator, type):
        raise TypeError(f"reference is the class {estimator.__name__}; pass a fitted instance.")
    check_is_fitted(estimator)
    estimator = _that_sees_X(estimator)
    if getattr(estimator, "genes_", None) is not None and hasattr(estimator, "fill_values_"):
        return estimator.genes_, estimator.fill_values_  # another GeneAligner
    genes = getattr(estimator, "feature_names_in_", None)
    if genes is None:
        raise ValueError(
            f"reference is a {type(estimator).__name__} that was fitted on X without gene names. "
            "Fit it on a data frame or AnnData, or pass the names of its genes as reference."
        )
    # A classifier of ours has them in its encoder.
    for holder in (estimator, getattr(estimator, "encoder_", None)):
        means = getattr(holder, "mean_", None)
        if means is not None and np.shape(means) == np.shape(genes):
            return genes, np.asarray(means, dtype=np.float64)
    return genes, None


def _that_sees_X(estimator):
    """Return the first step of a Pipeline: the means of later ones are of what it makes of X."""
    while isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        if not steps:
            break
        estimator = steps[0]
    return estimator


def genes_of_sequence(names) -> np.ndarray:
    """Return the genes of a sequence of names."""
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise TypeError(
            f"reference is {names!r}; pass a fitted estimator, an AnnData, a data frame or a "
            "sequence of gene names."
        )
    names = list(names)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(
            f"reference must hold gene names, each a str; {len(wrong):,} of {len(names):,} are "
            f"not (first: of type {type(wrong[0]).__name__}). Numbers as names: map(str, names)."
        )
    if not names:
        raise ValueError("reference is an empty sequence; name at least one gene.")
    return unique_genes(np.array(names, dtype=object))
