"""What a user may pass as X, and what the errors say."""

import contextlib
import os

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_array, validate_data

from ._anndata import header_of_anndata, is_anndata, values_of_anndata
from ._on_disk import find_source, refuse_unopened, stand_in
from ._sources import Source
from ._training.rows import Rows
from ._training.statistics import ColumnStatistics
from ._training.stream import IN_MEMORY

# Float32 cannot hold the square of a larger value.
LARGEST = float(np.sqrt(np.finfo(np.float32).max))
ALIGNER = "sslgex.preprocessing.GeneAligner"  # the cure for genes that are not those of fit


def check_X(
    estimator,
    X,
    *,
    reset: bool,
    layer: str | None = None,
    gather: bool = False,
    min_samples: int | None = None,
    streams: bool = False,
):
    """Return X as an array or CSR matrix of its own dtype, checked and not copied.

    A matrix on disk that is larger than `IN_MEMORY` may stay there: of a Source that is returned
    the values are still to be checked.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set (``reset=True``) or compared.
    X : array-like, sparse matrix, data frame, CPU tensor or AnnData
        (n_samples, n_features).
    reset : bool
        True in ``fit``.
    layer : str, optional
        The layer of an AnnData to read; its ``X`` by default.
    gather : bool
        Whether training will gather rows: a Fortran-ordered matrix is then copied once to C order.
    min_samples : int
        How many rows are needed; 2 in ``fit`` and otherwise 1 by default.
    streams : bool
        Whether a matrix may stay on disk. Otherwise it is read like any array.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's sentence, then what it means for an expression matrix.
    """
    named = X
    if layer is not None and not is_anndata(X):
        raise ValueError(
            f"layer={layer!r} is a layer of an AnnData, but X is a {type(X).__name__}. "
            "Pass the AnnData, or set layer=None."
        )
    refuse_unopened(X)
    source = find_source(X, layer) if streams else None
    if source is not None:
        named = X if source.header is None else source.header
        X = stand_in(source) if source.nbytes > IN_MEMORY else source.load()
    elif is_anndata(X):
        named = header_of_anndata(X)
        X = values_of_anndata(X, layer)
    elif isinstance(X, torch.Tensor):
        named = X = _values_of_tensor(X)
    elif column_names(X) is not None and not hasattr(X, "iloc"):
        X = np.asarray(X)  # of polars; scikit-learn leaves its columns of objects as they are
    names = column_names(named)
    if names is not None:
        # Before the values, as scikit-learn has it: of the wrong genes their values tell nothing.
        if reset:
            _refuse_duplicates(names)
        _check_genes(estimator, named, names, reset=reset)
    try:
        checked = check_array(
            X,
            input_name="X",
            estimator=estimator,
            accept_sparse="csr",
            dtype="numeric",
            order="C" if gather else None,
            ensure_min_samples=min_samples or (2 if reset else 1),
        )
    except ValueError as error:
        raise ValueError(f"{error}{_cure(error, X, named)}") from None
    if source is not None and source.nbytes > IN_MEMORY:
        checked = source
    if checked.dtype.kind not in "biuf":
        raise ValueError(f"X must hold real numbers, got values of dtype {checked.dtype}.")
    if names is None:
        _check_genes(estimator, checked, None, reset=reset)
    return checked


def check_X_unlabeled(estimator, X_unlabeled, *, layer: str | None = None) -> list:
    """Return the matrices of unlabelled samples, checked against the genes of ``fit``."""
    if X_unlabeled is None:
        return []
    if not isinstance(X_unlabeled, list | tuple):
        X_unlabeled = [X_unlabeled]
    checked = []
    for i, more in enumerate(X_unlabeled):
        if isinstance(more, str | os.PathLike):
            raise TypeError(
                f"X_unlabeled holds the path {os.fspath(more)!r}; pass what the file holds, read "
                "into memory."
            )
        if (len(more.shape) if hasattr(more, "shape") else np.ndim(more)) < 2:
            raise ValueError(
                f"X_unlabeled is taken for {len(X_unlabeled):,} matrices, but number {i} has one "
                "dimension. Pass one matrix, samples in rows (of a list of rows np.array(rows)), "
                "or a list of such matrices; labels do not belong there."
            )
        with matrix_of_pool(i):
            checked.append(check_X(estimator, more, reset=False, layer=layer, gather=True))
    return checked


@contextlib.contextmanager
def matrix_of_pool(i: int):
    """Let an error say in which matrix of X_unlabeled the cause is."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{error}\nThis X is matrix {i} of X_unlabeled.") from None


def check_values(estimator, matrices: list) -> ColumnStatistics:
    """Return the genes' statistics; raise where a network could only compute nonsense.

    Parameters
    ----------
    estimator : estimator
        Its gene names go into the error.
    matrices : list
        Checked: X, then those of X_unlabeled.
    """
    statistics = Rows(matrices).statistics()
    n_samples = sum(matrix.shape[0] for matrix in matrices)
    check_statistics(estimator, statistics, n_samples, matrices)
    return statistics


def check_statistics(
    estimator, statistics: ColumnStatistics, n_samples: int, matrices: list | None = None
) -> None:
    """Raise for values that overflow, naming which of the matrices, and for nothing to learn."""
    worst = int(statistics.largest.argmax())
    if statistics.largest[worst] > LARGEST:
        error = ValueError(
            f"{gene(estimator, worst)} holds the value {statistics.largest[worst]:.3g}, whose "
            f"square overflows float32 (beyond {LARGEST:.3g}). Correct it, or take logs."
        )
        if not matrices or abs(matrices[0][:, [worst]]).max() == statistics.largest[worst]:
            raise error
        largest = [abs(matrix[:, [worst]]).max() for matrix in matrices[1:]]
        with matrix_of_pool(int(np.argmax(largest))):
            raise error
    if np.isinf(statistics.scale).all():
        raise ValueError(
            f"All {len(statistics.scale):,} genes are constant over the {n_samples:,} samples: "
            "there is nothing to learn. Is this the right matrix, samples in rows?"
        )


def frame_of_anndata(adata, values):
    """Return the checked values of an AnnData as a data frame that has its gene names."""
    import pandas as pd

    make = pd.DataFrame.sparse.from_spmatrix if sp.issparse(values) else pd.DataFrame
    return make(values, columns=column_names(adata))


def with_obs_names(estimator, Z, X):
    """Return ``Z`` under the names of AnnData's samples, if a pandas data frame is wanted."""
    if is_anndata(X) and _get_output_config("transform", estimator)["dense"] == "pandas":
        import pandas as pd

        return pd.DataFrame(Z, index=X.obs_names)
    return Z


def column_names(X) -> np.ndarray | None:
    """Return the column names of a data frame (or AnnData), None for anything else."""
    if is_anndata(X):
        return np.asarray([str(name) for name in X.var_names], dtype=object)
    columns = getattr(X, "column_names", getattr(X, "columns", None))  # pyarrow, data frames
    if columns is None or not hasattr(X, "shape"):
        return None
    return np.asarray(list(columns), dtype=object)


def gene(estimator, j: int) -> str:
    """Name gene ``j`` in an error message."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"gene {j}" if names is None else f"gene {names[j]!r} (column {j})"


def _values_of_tensor(tensor: torch.Tensor) -> np.ndarray:
    if tensor.device.type != "cpu":
        raise TypeError(
            f"X is a tensor on {tensor.device}; pass it as a CPU tensor, X.cpu(). "
            "The device to compute on is the parameter `device`."
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"X is a {tensor.layout} tensor; pass a dense one or a scipy CSR matrix.")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.detach().numpy()


def _refuse_duplicates(names: np.ndarray) -> None:
    unique, counts = np.unique(names.astype(str), return_counts=True)
    twice = unique[counts > 1]
    if len(twice):
        raise ValueError(
            f"Gene names must be unique, but {len(twice):,} of {len(unique):,} occur more than "
            f"once (first: {str(twice[0])!r}, {counts[counts > 1][0]} times). Merge those columns: "
            f"{ALIGNER} does, by their mean, sum, ..."
        )


def _check_genes(estimator, X, names: np.ndarray | None, *, reset: bool) -> None:
    """Remember the genes of X, or compare them with those of ``fit``."""
    try:
        validate_data(estimator, X, skip_check_array=True, reset=reset)
    except ValueError as error:
        raise ValueError(f"{error}\n{_compare_genes(estimator, X, names)}") from None


def _compare_genes(estimator, X, names: np.ndarray | None) -> str:
    """Say how the genes of X differ from those of ``fit``."""
    known = getattr(estimator, "feature_names_in_", None)
    if known is None or names is None:
        about = "The columns of X must be the genes of fit, in the same order; samples are rows."
        if isinstance(X, Source) and X.shape[0] == estimator.n_features_in_:
            about += " There are as many rows as genes in fit: pass datasets.samples_first(X)."
        return about
    missing = np.setdiff1d(known, names)
    unknown = np.setdiff1d(names, known)
    if not len(missing) and not len(unknown):
        if len(names) > len(known):
            return "Some genes occur more than once."
        return (
            "The genes are the same in another order: arrange them as in `feature_names_in_`, or "
            f"let {ALIGNER} do it."
        )
    said = []
    if len(missing):
        first = next(name for name in known if name in set(missing))
        said.append(f"{len(missing):,} of {len(known):,} genes are missing (first: {first}).")
    if len(unknown):
        first = next(name for name in names if name in set(unknown))
        said.append(f"{len(unknown):,} genes of X were not in fit (first: {first}).")
    said.append(f"Align them with {ALIGNER}, or give those of `feature_names_in_` in their order.")
    return " ".join(said)


def _cure(error: ValueError, X, named) -> str:
    """Say what scikit-learn's complaint means for an expression matrix."""
    text = str(error)
    if "NaN" in text or "infinity" in text:
        return _where_not_finite(X, named)
    if "minimum of 2 is required" in text:
        return (
            " There is nothing to learn from fewer than two samples in rows; a matrix of genes x "
            "samples must be transposed."
        )
    if "0 feature(s)" in text or "0 sample(s)" in text:
        return " X must be samples x genes, with at least one of each."
    if "convert string" in text or "strings" in text:
        return " X must hold numbers only: samples in rows, genes in columns, no text columns."
    return ""


def _where_not_finite(X, named) -> str:
    try:
        if sp.issparse(X):
            coo = sp.coo_array(X)
            bad = ~np.isfinite(coo.data)
            row, column = coo.row[bad][0], coo.col[bad][0]
        else:
            if hasattr(X, "to_numpy"):
                X = X.to_numpy(dtype=np.float64, na_value=np.nan)
            bad = ~np.isfinite(np.asarray(X).astype(np.float64))
            row, column = np.argwhere(bad)[0]
    except (TypeError, ValueError):
        return ""
    names = column_names(named)
    which = f"column {column}" if names is None else f"gene {names[column]!r}"
    return (
        f"\n{int(bad.sum()):,} values are not finite; the first is in row {row}, {which}. "
        "Impute them or drop those genes or samples."
    )
