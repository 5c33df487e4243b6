"""Which reader a source needs: told by the first bytes, not by the file's name."""

import bz2
import csv
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .._inputs import is_anndata
from ._frames import raw_of_frame
from ._hdf5 import raw_of_anndata, read_hdf5, read_zarr
from ._raw import Raw, damaged, require
from ._tables import read_text

_COMPRESSED: dict[bytes, tuple[str, Callable]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ": ("xz", lzma.open),
}
_PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, csv.Error)


def read_raw(source, *, layer=None, samples=None, search=None) -> tuple[Raw, str]:
    """Return what the source holds, and how errors shall name it."""
    if isinstance(source, str | os.PathLike):
        where = os.fspath(source)
        raw = _read_path(Path(source), where, layer, samples, search)
    else:
        where = f"the {type(source).__name__}"
        raw = _read_object(source, where, layer)
    if raw.format != "ARCHS4" and (samples is not None or search is not None):
        raise ValueError(
            f"{where} has the format {raw.format}, but samples and search select from a file of "
            "ARCHS4. Read without them and take rows of the result."
        )
    if layer is not None and not raw.format.startswith(("AnnData", "h5ad", "zarr")):
        raise ValueError(
            f"layer={layer!r} is a layer of an AnnData, but {where} has the format {raw.format}. "
            "Set layer=None."
        )
    if raw.values.dtype.kind not in "biuf":
        raise ValueError(f"{where} must hold real numbers, got dtype {raw.values.dtype}.")
    if 0 in raw.values.shape:
        raise ValueError(
            f"{where} holds no values: {len(raw.rows)} rows, {len(raw.columns)} columns."
        )
    return raw, where


def _read_object(source, where, layer) -> Raw:
    if is_anndata(source):
        return raw_of_anndata(source, layer, where, "AnnData")
    if hasattr(source, "to_pandas"):  # polars, pyarrow
        require("pyarrow", "parquet")
        source = source.to_pandas()
    if hasattr(source, "iloc") and getattr(source, "ndim", 2) == 2:
        return raw_of_frame(source, where, "data frame")
    if hasattr(source, "shape") or isinstance(source, list | tuple):
        raise TypeError(
            f"A {type(source).__name__} has no names of genes and samples to conclude from. Pass "
            "pandas.DataFrame(values, index=sample_names, columns=gene_names)."
        )
    raise TypeError(
        f"source must be a path, a data frame or an AnnData, got a {type(source).__name__}."
    )


def _read_path(path: Path, where, layer, samples, search) -> Raw:
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file {where} (looked in {path.absolute().parent}). Give the path of a "
            "file on this machine; an address must be downloaded first."
        )
    if path.is_dir():
        if any((path / name).exists() for name in (".zgroup", "zarr.json")):
            return read_zarr(path, layer, where)
        raise IsADirectoryError(
            f"{where} is a folder, neither a file nor a zarr store. For a folder with a file per "
            "sample, such as GDC's, see 'A file per sample' in the documentation."
        )
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise OSError(f"{where} cannot be opened: {error.strerror}.") from None
    if not start:
        raise ValueError(f"{where} is empty (0 bytes). Fetch it again.")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_hdf5(path, layer, where, samples, search)
    if start.startswith(b"PAR1"):
        return _read_parquet(path, where)
    return _read_text(path, start, where)


def _read_parquet(path, where) -> Raw:
    require("pyarrow", "parquet")
    pandas = require("pandas", "anndata")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow's many kinds, one meaning
        raise damaged(where, "parquet", error) from None
    return raw_of_frame(frame, where, "parquet")


def _read_text(path, start, where) -> Raw:
    compression, open_stream = "", partial(open, path, "rb")
    for magic, (name, opener) in _COMPRESSED.items():
        if start.startswith(magic):
            compression, open_stream = name, partial(opener, path, "rb")
    try:
        with open_stream() as stream:
            start = stream.read(4096)
    except _BROKEN as error:
        raise damaged(where, compression, error) from None
    _refuse_other_content(start, path, where)
    try:
        raw = read_text(open_stream, where)
    except _BROKEN as error:
        raise damaged(where, compression or "text", error) from None
    if compression:
        raw.format += f", {compression}"
    elif path.suffix == ".gz":
        raw.remarks["compression"] = "none, whatever the name says"
    return raw


def _refuse_other_content(start: bytes, path, where) -> None:
    """Raise for what is often saved under the name of a table."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        raise ValueError(f"{where} is empty: it holds nothing but blanks. Fetch it again.")
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ValueError(
            f"{where} is a web page, not a table: probably an error or login page. Open it in a "
            "browser, and download the file itself."
        )
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(
            f"{where} is a spreadsheet or another zip archive. Save the sheet as tab-separated "
            "text; spreadsheets turn gene names such as MARCH1 into dates, so prefer the source's "
            "text file."
        )
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{where} is UTF-16 text. Save it as UTF-8.")
    if start.startswith(_PICKLE) or _inflated(start).startswith(_PICKLE):
        raise ValueError(
            f"{where} is a pickle. Reading one can run any code, so it is not read. If you trust "
            "its source, read it with pandas or joblib and pass the data frame."
        )
    if b"\x00" in start:
        kind = "named .gz but no gzip" if path.suffix == ".gz" else "no text"
        raise ValueError(
            f"{where} is {kind}: its first bytes are {start[:4].hex(' ')}, of no format known here "
            "(text, parquet, h5ad, ARCHS4's HDF5; zarr is a folder). Fetch it again or convert it."
        )
    if b"\r" in start and b"\n" not in start:
        raise ValueError(f"{where} has line ends of old Macintosh computers. Save it with others.")


def _inflated(start: bytes) -> bytes:
    """Return the beginning of what joblib has compressed in its own way, b"" of anything else."""
    try:
        return zlib.decompressobj().decompress(start, 64)
    except zlib.error:
        return b""
