"""Stores: h5ad and zarr through anndata, ARCHS4's HDF5 by the columns that are asked for."""

import json
import re
import warnings

import numpy as np
import scipy.sparse as sp

from ._archs4_file import ARCHS4File
from ._raw import SAMPLES_IN_ROWS, Raw, damaged, require, some

# More samples than this are refused unless chosen: 20,000 x 67,000 genes are 5 GB of counts.
LARGEST_ARCHS4 = 20_000

_TEXT_FIELDS = ("series_id", "title", "source_name_ch1", "characteristics_ch1")
_SAMPLE_FIELDS = (
    "geo_accession",
    *_TEXT_FIELDS,
    "extract_protocol_ch1",
    "molecule_ch1",
    "platform_id",
    "instrument_model",
    "alignedreads",
    "readsaligned",
    "singlecellprobability",
)


def read_hdf5(path, layer, where, samples, search) -> Raw:
    """Read an h5ad file or one of ARCHS4."""
    h5py = require("h5py", "anndata")
    try:
        with h5py.File(path, "r") as file:
            groups = list(file)
    except (OSError, RuntimeError, KeyError) as error:
        raise damaged(where, "HDF5", error) from None
    if {"data", "meta"} <= set(groups):
        try:
            return _read_archs4(path, where, samples, search)
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            raise damaged(where, "ARCHS4's HDF5", error) from None
    if "obs" not in groups or "var" not in groups:
        known = " It looks like 10x's: pass scanpy.read_10x_h5(path)." if "matrix" in groups else ""
        raise ValueError(
            f"{where} is HDF5, but neither h5ad (obs and var) nor ARCHS4's (data/expression and "
            f"meta): it holds {some(groups, 6)}.{known}"
        )
    return _read_store(require("anndata", "anndata").read_h5ad, path, layer, where, "h5ad")


def read_zarr(path, layer, where) -> Raw:
    """Read an AnnData stored as a zarr folder."""
    require("zarr", "zarr")
    _refuse_pickles(path, where)
    return _read_store(require("anndata", "anndata").read_zarr, path, layer, where, "zarr")


def raw_of_anndata(adata, layer, where, format: str) -> Raw:
    """Return an AnnData's matrix, or one of its layers, with obs and var."""
    if getattr(adata, "isbacked", False):
        adata = adata.to_memory()
    if layer is not None and layer not in adata.layers:
        raise ValueError(
            f"{where} has no layer {layer!r}; it has {sorted(adata.layers)}. layer=None reads X."
        )
    values = adata.X if layer is None else adata.layers[layer]
    if values is None:
        raise ValueError(f"{where} has no X. Name one of its layers: {sorted(adata.layers)}.")
    if sp.issparse(values):
        values = values.tocsr()
    return Raw(
        values=values if sp.issparse(values) else np.asarray(values),
        rows=[str(name) for name in adata.obs_names],
        columns=[str(name) for name in adata.var_names],
        row_notes=adata.obs.copy(),
        column_notes=adata.var.copy(),
        format=format if layer is None else f"{format}, layer {layer}",
        layout=SAMPLES_IN_ROWS,
        uns=dict(adata.uns),
    )


def _read_store(read, path, layer, where, format) -> Raw:
    try:
        with warnings.catch_warnings():
            # Names that are not unique are told of by read_expression itself.
            warnings.simplefilter("ignore")
            adata = read(path)
            values = adata.X if layer is None else adata.layers.get(layer)
            if sp.issparse(values):
                values.check_format()  # or columns that are not there would be written to
    except Exception as error:  # of anndata, h5py or zarr: many kinds, one meaning
        raise damaged(where, format, error) from None
    return raw_of_anndata(adata, layer, where, format)


def _refuse_pickles(path, where) -> None:
    """Raise if an array of a zarr store is a pickle, which older versions of zarr would read."""
    for name in (".zarray", ".zmetadata", "zarr.json"):
        for file in path.rglob(name):
            try:
                metadata = json.loads(file.read_bytes())
            except (ValueError, RecursionError) as error:
                raise damaged(where, "zarr", f"{file.relative_to(path)}: {error}") from None
            if _names_pickle(metadata):
                raise ValueError(
                    f"{where} holds a pickle: {file.relative_to(path)} names it as a codec. "
                    "Reading one can run any code. Have the store written with zarr's own codecs."
                )


def _names_pickle(node) -> bool:
    if isinstance(node, dict):
        codec = node.get("id", node.get("name"))
        named = isinstance(codec, str) and codec.rpartition(".")[2] == "pickle"
        return named or any(map(_names_pickle, node.values()))
    return isinstance(node, list) and any(map(_names_pickle, node))


def _read_archs4(path, where, samples, search) -> Raw:
    pandas = require("pandas", "anndata")
    with ARCHS4File(path) as file:
        fields = set(file.fields())
        names = file.metadata("geo_accession").astype(str).astype(object)
        chosen = _choose(file, names, fields, samples, search, where)
        notes = {f: file.metadata(f)[chosen] for f in _SAMPLE_FIELDS if f in fields}
        genes = {kind: file.genes(kind) for kind in file.gene_kinds}
        values = file.counts(chosen)
    symbols = genes.pop("symbol", None)
    columns = genes["ensembl"] if symbols is None else symbols
    raw = Raw(
        values=values,
        rows=list(names[chosen]),
        columns=list(columns),
        row_notes=pandas.DataFrame(notes, index=names[chosen]),
        column_notes=pandas.DataFrame(genes, index=columns),
        format="ARCHS4",
        layout=SAMPLES_IN_ROWS,  # as ARCHS4File returns it
        # Genes without a symbol stand among them by their Ensembl id.
        gene_ids="Ensembl gene" if symbols is None else "symbol",
    )
    raw.remarks["samples"] = f"{len(chosen):,} of {len(names):,}, in the order of the file"
    return raw


def _choose(file: ARCHS4File, names, fields, samples, search, where) -> np.ndarray:
    """Return the positions of the samples asked for, ascending."""
    if samples is None and search is None and file.n_samples > LARGEST_ARCHS4:
        raise ValueError(
            f"{where} holds {file.n_samples:,} samples, "
            f"{4e-9 * file.n_samples * file.n_genes:,.1f} GB of counts; up to {LARGEST_ARCHS4:,} "
            "are read at once. Choose by samples=[...] or search='...'."
        )
    wanted = np.ones(len(names), dtype=bool)
    if samples is not None:
        samples = [samples] if isinstance(samples, str) else [str(name) for name in samples]
        missing = sorted(set(samples) - set(names))
        if missing:
            raise ValueError(
                f"{where} lacks {len(missing):,} of {len(set(samples)):,} samples (first: "
                f"{missing[0]}). Leave them out, or take a newer file; names are like {names[0]}."
            )
        wanted = np.isin(names, samples)
    if search is not None:
        pattern = _pattern(search)
        found = np.zeros(len(names), dtype=bool)
        for field in fields.intersection(_TEXT_FIELDS):
            found |= [pattern.search(text) is not None for text in file.metadata(field)]
        wanted &= found
    if not wanted.any():
        raise ValueError(
            f"{where}: none of {len(names):,} samples is left by samples and search={search!r} "
            f"(searched: {', '.join(_TEXT_FIELDS)}). Try a shorter expression."
        )
    return np.flatnonzero(wanted)


def _pattern(search) -> re.Pattern:
    try:
        return re.compile(search, re.IGNORECASE)
    except re.error as error:
        raise ValueError(
            f"search={search!r} is no regular expression: {error}. Write a backslash before "
            "characters such as ( or +."
        ) from None
