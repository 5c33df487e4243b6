"""Tables: text in the layouts that expression matrices come in."""

import re
import warnings

import numpy as np

from ._frames import raw_of_frame
from ._notes import may_be_note
from ._numbers import has_long_exponent, to_numbers
from ._raw import Raw, damaged, require
from ._table_head import read_head, split

# Cells without a value. "None" is not among them: it may be a class.
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "#N/A", "<NA>"]
_SERIES_END = "!series_matrix_table_end"
_BAM = re.compile(r"^.*[/\\]|(\.?Aligned\.(sortedByCoord\.)?out)?\.(bam|sam|cram)$")


def read_text(open_stream, where: str) -> Raw:
    """Read delimited text: a plain table, or one of Xena, cBioPortal, GEO, GCT, featureCounts."""
    pandas = require("pandas", "anndata")
    with open_stream() as stream:
        head = read_head(stream, where)
    notes = [j for j, name in enumerate(head.header) if j and may_be_note(name)]
    with open_stream() as stream:
        for _ in range(head.skip):
            stream.readline()
        try:
            with warnings.catch_warnings():
                # Read in parts, a column of labels may be numbers in one and text in another.
                warnings.simplefilter("ignore", pandas.errors.DtypeWarning)
                frame = pandas.read_csv(
                    stream,
                    sep=head.sep,
                    decimal=head.decimal,
                    header=None,
                    names=range(len(head.header)),
                    # A gene may be called NA, a patient 0012.
                    converters=dict.fromkeys([0, *notes], str),
                    keep_default_na=False,
                    na_values=_MISSING,
                    encoding="utf-8",
                    encoding_errors="replace",
                    float_precision="round_trip" if has_long_exponent(open_stream) else None,
                )
        except pandas.errors.ParserError as error:
            raise _not_rectangular(error, head, where) from None
    _refuse_rows_run_together(frame, where)
    if head.format == "GEO series matrix":
        if not len(frame) or frame.iat[-1, 0] != _SERIES_END:
            raise damaged(where, head.format, f"it has no line {_SERIES_END}")
        frame = frame.iloc[:-1]
    if not len(frame):
        raise ValueError(f"{where} has a header and no rows.{_no_rows_cure(head)}")
    for j in notes:
        frame[j] = _numbers_of_text(frame[j], head.decimal)
    _refuse_cut(frame, head, open_stream, where)
    frame.columns = head.header
    frame = _without_empty(frame, where)
    raw = raw_of_frame(frame, where, head.format)
    for name in raw.row_notes.select_dtypes("object"):
        raw.row_notes[name] = raw.row_notes[name].map(str, na_action="ignore")
    if head.format == "featureCounts":
        short = [_BAM.sub("", _BAM.sub("", name)) for name in raw.columns]
        if len(set(short)) == len(short) and all(short):
            raw.columns = short
    for name, values in head.notes.items():
        if len(values) == len(raw.columns):
            raw.column_notes[name] = values
    return raw


def _refuse_rows_run_together(frame, where) -> None:
    """Raise if a cell holds the end of a line."""
    for j, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if dtype.kind == "O":
            # Not by .str, which a column of truth values and empty cells lacks.
            broken = np.flatnonzero([isinstance(v, str) and "\n" in v for v in frame[j]])
            if len(broken):
                cell = frame[j].iat[broken[0]]
                raise ValueError(
                    f"{where}: a quotation mark opens before {cell[:30]!r} and does not close in "
                    "that line, so that lines run together. Take the quotation marks out."
                )


def _numbers_of_text(column, decimal: str):
    """Return a column of text as numbers if it is one, and no digit gets lost."""
    column = column.mask(column.isin(_MISSING))
    numbers = to_numbers(column.str.replace(decimal, "."))
    lost = column.notna() & (numbers.isna() | column.str.match(r"\s*[-+]?0\d"))
    return column if lost.any() else numbers


def _without_empty(frame, where):
    """Return the frame without columns and rows that have neither name nor value."""
    for j in np.flatnonzero(frame.columns[1:] == "") + 1:
        if frame.iloc[:, j].notna().any():
            raise ValueError(
                f"{where}: column number {j + 1} has values and no name in the header. Name every "
                "column there."
            )
    columns = np.flatnonzero((frame.columns != "") | (np.arange(frame.shape[1]) == 0))
    if len(columns) < frame.shape[1]:
        frame = frame.iloc[:, columns]
    nameless = np.flatnonzero(frame.iloc[:, 0].str.strip() == "")
    if len(nameless):
        empty = nameless[frame.iloc[nameless, 1:].isna().all(axis=1)]
        frame = frame.drop(index=frame.index[empty]).reset_index(drop=True)
    return frame


def _not_rectangular(error, head, where) -> ValueError:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if not found:
        return damaged(where, head.format, error)
    expected, line, saw = (int(group) for group in found.groups())
    return ValueError(
        f"{where}: line {line + head.skip} has {saw} fields, the header has {expected}. A "
        "delimiter stands within a field, or two files run together there. Correct that line."
    )


def _no_rows_cure(head) -> str:
    if head.format == "GEO series matrix":
        return (
            " GEO leaves the table empty for RNA-seq: the counts are among the supplementary files "
            "of the series."
        )
    return " Fetch it again."


def _refuse_cut(frame, head, open_stream, where) -> None:
    """Raise if rows are fewer than stated, or the last row is short."""
    if head.shape is not None:
        n_samples = len(head.header) - 2  # after the name and the description
        if (len(frame), n_samples) != head.shape:
            raise damaged(
                where,
                "GCT",
                f"it states {head.shape[0]:,} rows and {head.shape[1]:,} samples, and has "
                f"{len(frame):,} and {n_samples:,}",
            )
    # pandas fills a short row with NaN, as it reads empty cells.
    if head.format != "GEO series matrix" and frame.iloc[-1].isna().iat[-1]:
        last = b""
        with open_stream() as stream:
            for line in stream:
                last = line if line.strip() else last
        n_fields = len(split(last.decode("utf-8", "replace").rstrip("\r\n"), head.sep))
        if n_fields < len(head.header) or not last.endswith((b"\n", b"\r")):
            told = (
                f"its last row has {n_fields} of {len(head.header)} fields and ends {last[-9:]!r}"
            )
            raise damaged(where, head.format, told)
