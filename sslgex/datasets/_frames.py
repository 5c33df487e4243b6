"""Data frames, also those read from text: names, values, and what is noted beside them."""

import re

import numpy as np

from .._training.warning import warn_user
from ._conclusions import Axis
from ._notes import (
    GENE_HEADERS,
    NAME_HEADERS,
    PERSON_HEADERS,
    QUANTITIES,
    UNNAMED,
    is_note,
    plain,
)
from ._numbers import to_numbers
from ._raw import GENES_IN_ROWS, SAMPLES_IN_ROWS, Raw, require, some

# Formats that have genes in rows, and those with columns that are never samples.
_OF_GENES = ("GCT", "GEO series matrix")
_OF_KNOWN_NOTES = ("cBioPortal", "featureCounts")
_MARKED_NUMBER = re.compile(r"[-+]?(\d+(,\d+)+|\d{1,3}(\.\d{3}){2,})([eE][-+]?\d+)?")
_NO_VALUE = re.compile(r"n\.? ?[ad]\.?|none|missing|undetermined|#.*|[-.?*]+|[<>].*", re.IGNORECASE)
_LARGEST_NUMBERING = 100_000  # Entrez ids go far beyond


def raw_of_frame(frame, where: str, format: str) -> Raw:
    """Split a pandas data frame into names, values and what is noted beside them.

    Columns of text are notes, and so are columns of numbers with a name such as "age".
    """
    pandas = require("pandas", "anndata")
    if isinstance(frame.index, pandas.MultiIndex) or isinstance(frame.columns, pandas.MultiIndex):
        raise ValueError(f"{where} has names of several levels. Keep one: frame.droplevel(...).")
    rows, first, frame = _names_of_rows(frame)
    columns = [str(name).strip() for name in frame.columns]
    of = _what_is_in_rows(rows, first, columns, format)

    named = np.array([is_note(name, of) for name in columns], dtype=bool)
    is_number = np.array([_holds_numbers(dtype) for dtype in frame.dtypes], dtype=bool)
    for j in np.flatnonzero(~named & ~is_number):
        _refuse_stray_text(frame.iloc[:, j], rows, columns[j], of, where)
    noted = named | ~is_number
    if len(columns) and noted.all():
        row = [str(value) for value in frame.iloc[0]] if len(frame) else []
        raise ValueError(
            f"{where} has no column of numbers that are measurements: its columns are "
            f"{some(columns)}, the first row holds {some(row)}. Check "
            "its delimiter and its decimal mark, or convert it: frame.astype(float)."
        )
    numbers = frame.iloc[:, ~noted] if noted.any() else frame
    notes = frame.iloc[:, noted].set_axis(rows, axis=0)
    notes = notes.loc[:, ~notes.columns.duplicated()]
    names = [name for name, is_note in zip(columns, noted, strict=True) if not is_note]
    if names and all(plain(name) in QUANTITIES for name in names):
        raise ValueError(
            f"{where} is of one sample: its columns are {some(names, 6)}. Join one of these "
            "columns of every sample to a data frame and pass that; the documentation has a "
            "recipe, 'A file per sample'."
        )
    taken = [columns[j] for j in np.flatnonzero(named & is_number)]
    if taken and format not in _OF_KNOWN_NOTES:
        warn_user(
            f"{where}: {len(taken):,} columns of numbers are taken for annotations, by their names "
            f"({some(taken, 8)}). If they are genes or samples, name them otherwise."
        )
    raw = Raw(
        values=_values(numbers),
        rows=rows,
        columns=names,
        row_notes=notes.rename(columns=str),
        column_notes=pandas.DataFrame(index=names),
        format=format,
        layout=_layout(first, format),
    )
    if any("\ufffd" in name for name in rows + names):
        raw.remarks["encoding"] = "not UTF-8: names hold characters that cannot be read"
    if noted.any():
        raw.remarks["annotations"] = some(list(notes.columns), 8)
    return raw


def _names_of_rows(frame):
    """Return the names of the rows, what stands above them, and the other columns."""
    pandas = require("pandas", "anndata")
    rows, first = frame.index, str(frame.index.name or "")
    if isinstance(rows, pandas.RangeIndex) and frame.size:
        # Of text it is read as str, whatever it holds.
        values = to_numbers(frame.iloc[:, 0])
        if values.isna().any() or plain(str(frame.columns[0])) in NAME_HEADERS:
            rows, first, frame = _take_names(frame, 0)
        else:
            frame = pandas.concat([values, frame.iloc[:, 1:]], axis=1)
    if plain(first) in UNNAMED and _are_numbering(rows):
        # As rows that were filtered or sorted keep it.
        genes = [j for j, name in enumerate(frame.columns) if plain(str(name)) in GENE_HEADERS]
        if genes:
            rows, first, frame = _take_names(frame, genes[0])
    return [str(name).strip() for name in rows], first, frame


def _take_names(frame, j: int):
    """Return a column as names, its own name, and the other columns."""
    names, first = frame.iloc[:, j].fillna(""), str(frame.columns[j]).strip()
    if j == 0:  # a slice copies nothing
        return names, first, frame.iloc[:, 1:]
    return names, first, frame.iloc[:, np.arange(frame.shape[1]) != j]


def _are_numbering(rows) -> bool:
    return all(str(name).isdecimal() and int(name) < _LARGEST_NUMBERING for name in rows)


def _layout(first: str, format: str) -> str | None:
    if format in _OF_GENES or plain(first) in GENE_HEADERS:
        return GENES_IN_ROWS
    return SAMPLES_IN_ROWS if plain(first) in PERSON_HEADERS else None


def _what_is_in_rows(rows, first, columns, format) -> str | None:
    """Return what is in the rows, as `is_note` asks it."""
    if _layout(first, format) == GENES_IN_ROWS or (len(rows) and Axis(rows).are_genes):
        return "genes"
    return "samples" if columns and Axis(columns).are_genes else None


def _values(numbers) -> np.ndarray:
    """Return a data frame's numbers, not copied where pandas holds them as one array."""
    types = list(numbers.dtypes)
    dtype = np.float32 if types and all(t == np.float32 for t in types) else np.float64
    if all(isinstance(t, np.dtype) for t in types):
        return numbers.to_numpy(dtype=dtype)
    return numbers.to_numpy(dtype=dtype, na_value=np.nan)  # pandas' own types may hold pandas.NA


def _holds_numbers(dtype) -> bool:
    types = require("pandas", "anndata").api.types
    return types.is_numeric_dtype(dtype) and dtype.kind in "iuf"


def _refuse_stray_text(column, rows, name, of, where) -> None:
    """Raise if a column of text is one of numbers but for some cells."""
    there = column.notna().to_numpy()
    text = [str(value).strip() for value in column[there]]
    numbers = to_numbers(require("pandas", "anndata").Series(text, dtype=object))
    stray = np.flatnonzero(np.isnan(np.asarray(numbers, dtype=np.float64)))
    n_numbers = len(text) - len(stray)
    marked = [text[i] for i in stray if _MARKED_NUMBER.fullmatch(text[i])]
    if marked and 2 * (n_numbers + len(marked)) >= len(text):
        raise ValueError(
            f"{where}: column {name!r} holds {marked[0]!r}. Write all numbers with a point as "
            "decimal mark and without a mark of thousands; take the column out if it holds none."
        )
    # A label of a sample may be a number here and there; half of a column is beyond that. What is
    # said of genes is hardly ever a number.
    few = len(stray) < n_numbers or (of == "genes" and 10 * n_numbers >= len(text))
    if len(stray) and n_numbers and (few or all(_NO_VALUE.fullmatch(text[i]) for i in stray)):
        i = np.flatnonzero(there)[stray[0]]
        raise ValueError(
            f"{where}: text in the matrix. Row {rows[i]!r} (number {i + 1}), column {name!r} holds "
            f"{text[stray[0]]!r}; {len(stray):,} of {len(text):,} values of this column are no "
            "numbers. Correct them or leave them empty; take the column out if it is none of "
            "measurements."
        )
