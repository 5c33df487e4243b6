"""What an AnnData holds, without importing its package."""


def is_anndata(X) -> bool:
    """Tell AnnData by what it offers."""
    return all(hasattr(X, name) for name in ("obs_names", "var_names", "layers", "X"))


def header_of_anndata(adata):
    """Return an empty data frame that carries the gene names through scikit-learn's checks."""
    import pandas as pd  # anndata requires it

    # Python's own strings: scikit-learn takes no notice of names of numpy's kind.
    return pd.DataFrame(columns=[str(name) for name in adata.var_names], index=[])


def values_of_anndata(adata, layer: str | None):
    """Return the matrix, or one of the layers; raise where it is not in memory or not there."""
    if getattr(adata, "isbacked", False) and layer is None:
        raise TypeError(
            f"This AnnData is backed by the file {adata.filename}; its matrix is not in memory. "
            "Read it first: adata.to_memory()."
        )
    if layer is None:
        if adata.X is None:
            raise ValueError(
                f"This AnnData has no X. Name one of its layers: {sorted(adata.layers)}."
            )
        return adata.X
    if layer not in adata.layers:
        raise ValueError(
            f"AnnData has no layer {layer!r}; it has {sorted(adata.layers)}. "
            "layer=None reads adata.X."
        )
    return adata.layers[layer]
