"""What the builders of the study's sets share: small classes, the AnnData, the report."""

import numpy as np

from .._genes import strip_versions


def import_anndata(purpose: str):
    """Return the modules anndata and pandas, or say how to install them."""
    try:
        import anndata
        import pandas
    except ImportError as error:
        raise ImportError(
            f'{purpose} requires anndata. Install it with: pip install "sslgex[anndata]"'
        ) from error
    return anndata, pandas


def keep_large_classes(obs, minimum: int):
    """Return the samples whose class has at least `minimum`, and how many others there are."""
    sizes = obs["label"].value_counts().sort_index()
    kept = obs[obs["label"].map(sizes) >= minimum]
    if not len(kept):
        raise ValueError(
            f"No class has {minimum:,} samples. There are {', '.join(_listed(sizes)) or 'none'}. "
            "Lower the minimum."
        )
    return kept, len(obs) - len(kept)


def to_anndata(anndata, X, obs, var, **uns):
    """Return the AnnData, its genes without version, with class counts and all-zero genes."""
    var.index = strip_versions(var.index)
    if not var.index.is_unique:
        twice = var.index[var.index.duplicated()]
        raise ValueError(
            f"Gene names must be unique, but {len(twice):,} occur again (first: {twice[0]!r})."
        )
    expressed = np.zeros(X.shape[1], dtype=bool)
    for row in X:  # not X != 0 at once: a quarter of X more
        expressed |= row != 0
    counts = obs["label"].value_counts().sort_index()
    uns["class_counts"] = {str(label): int(n) for label, n in counts.items()}
    uns["n_all_zero_genes"] = int((~expressed).sum())
    return anndata.AnnData(X, obs=obs, var=var, uns=uns)


def print_report(adata) -> None:
    """Print the size, the classes, and what was left out."""
    n_samples, n_genes = adata.shape
    print(
        f"{n_samples:,} samples x {n_genes:,} genes, "
        f"of which {adata.uns['n_all_zero_genes']:,} are zero in all samples."
    )
    print("Classes:", ", ".join(_listed(adata.uns["class_counts"])))
    left_out = {why: n for why, n in adata.uns["left_out"].items() if n}
    print("Left out:", ", ".join(_listed(left_out)) or "nothing")


def _listed(counts) -> list[str]:
    """Return the counts as words."""
    return [f"{str(name).replace('_', ' ')} {n:,}" for name, n in counts.items()]
