"""Tables: text in the layouts that expression matrices come in, and data frames."""

import csv
import re
import warnings
from dataclasses import dataclass, field

import numpy as np

from ._raw import GENES_IN_ROWS, Raw, damaged, require, some

# A first column of this name holds genes. Xena's "sample" does so too, so that says nothing.
_GENE_HEADERS = {
    "ensembl_id", "entrez_gene_id", "gene", "gene_id", "gene_name", "gene_symbol", "geneid",
    "genes", "hgnc_symbol", "hugo_symbol", "id_ref", "symbol",
}  # fmt: skip
# Columns that are no measurement even where they hold numbers: of genes, then of samples.
_NOTES = _GENE_HEADERS | {
    "chr", "chrom", "chromosome", "start", "end", "strand", "length", "cytoband", "description",
    "gene_type", "gene_biotype", "entrez", "entrezid", "locus_id",
    "age", "batch", "class", "cluster", "diagnosis", "event", "gender", "grade", "group", "label",
    "labels", "os", "os_time", "patient", "patient_id", "sample", "sample_id", "sample_type", "sex",
    "stage", "status", "subtype", "survival", "target", "time", "tissue", "treatment", "y",
}  # fmt: skip
# A first column of numbers holds names only if it is called so; "x" is R's.
_NAME_HEADERS = _NOTES | {"", "unnamed:_0", "id", "index", "x"}
# Columns of a file of one sample, as STAR at GDC, RSEM, salmon and kallisto write it.
_QUANTITIES = {
    "eff_length", "effective_length", "effectivelength", "est_counts", "expected_count", "fpkm",
    "fpkm_unstranded", "fpkm_uq_unstranded", "isopct", "numreads", "rpkm", "stranded_first",
    "stranded_second", "tpm", "tpm_unstranded", "unstranded",
}  # fmt: skip
_SERIES_END = "!series_matrix_table_end"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
_BAM = re.compile(r"^.*[/\\]|(\.?Aligned\.(sortedByCoord\.)?out)?\.(bam|sam|cram)$")


@dataclass
class _Head:
    """What the lines before the first row of values tell."""

    format: str = "table"
    skip: int = 0  # lines up to and including the header
    header: list[str] = field(default_factory=list)
    sep: str = "\t"
    decimal: str = "."
    shape: tuple[int, int] | None = None  # stated by GCT: rows, samples
    notes: dict[str, list[str]] = field(default_factory=dict)  # of samples, by GEO


def read_text(open_stream, where: str) -> Raw:
    """Read delimited text: a plain table, or one of Xena, cBioPortal, GEO, GCT, featureCounts."""
    pandas = require("pandas", "anndata")
    with open_stream() as stream:
        head = _read_head(stream, where)
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
                    converters={0: str},  # a gene may be called NA
                    encoding="utf-8",
                    encoding_errors="replace",
                )
        except pandas.errors.ParserError as error:
            raise _not_rectangular(error, head, where) from None
    if head.format == "GEO series matrix":
        if not len(frame) or frame.iat[-1, 0] != _SERIES_END:
            raise damaged(where, head.format, f"it has no line {_SERIES_END}")
        frame = frame.iloc[:-1]
    if not len(frame):
        raise ValueError(f"{where} has a header and no rows.{_no_rows_cure(head)}")
    _refuse_cut(frame, head, open_stream, where)
    if head.header[-1] == "" and frame.iloc[:, -1].isna().all():  # a delimiter ends every line
        frame, head.header = frame.iloc[:, :-1], head.header[:-1]
    frame.columns = head.header
    raw = raw_of_frame(frame, where, head.format)
    for name in raw.row_notes.select_dtypes("object"):
        raw.row_notes[name] = raw.row_notes[name].map(str, na_action="ignore")
    if head.format in ("GCT", "GEO series matrix"):
        raw.layout = GENES_IN_ROWS
    if head.format == "featureCounts":
        short = [_BAM.sub("", _BAM.sub("", name)) for name in raw.columns]
        if len(set(short)) == len(short):
            raw.columns = short
    for name, values in head.notes.items():
        if len(values) == len(raw.columns):
            raw.column_notes[name] = values
    return raw


def raw_of_frame(frame, where: str, format: str) -> Raw:
    """Split a pandas data frame into names, values and what is noted beside them.

    Columns of text are notes, and so are columns of numbers with a name such as "age".
    """
    pandas = require("pandas", "anndata")
    if isinstance(frame.index, pandas.MultiIndex) or isinstance(frame.columns, pandas.MultiIndex):
        raise ValueError(f"{where} has names of several levels. Keep one: frame.droplevel(...).")
    columns = [str(name).strip() for name in frame.columns]
    first = str(frame.index.name or "")
    rows = frame.index
    if isinstance(rows, pandas.RangeIndex) and columns:
        # Of text it is read as str, whatever it holds.
        values = pandas.to_numeric(frame.iloc[:, 0], errors="coerce")
        if values.isna().any() or _plain(columns[0]) in _NAME_HEADERS:
            rows, first = frame.iloc[:, 0].fillna(""), columns[0]
            frame, columns = frame.iloc[:, 1:], columns[1:]
        else:
            frame = pandas.concat([values, frame.iloc[:, 1:]], axis=1)
    rows = [str(name).strip() for name in rows]

    noted = np.array([_is_note(name) for name in columns], dtype=bool)
    is_number = np.array([_holds_numbers(dtype) for dtype in frame.dtypes], dtype=bool)
    for j in np.flatnonzero(~noted & ~is_number):
        _refuse_stray_text(frame.iloc[:, j], rows, columns[j], where)
    noted |= ~is_number
    if len(columns) and noted.all():
        raise ValueError(
            f"{where} has no column of numbers: its columns are {some(columns)}, the first row "
            f"holds {some([str(value) for value in frame.iloc[0]])}. Check its delimiter and its "
            "decimal mark, or convert it: frame.astype(float)."
        )
    numbers = frame.iloc[:, ~noted] if noted.any() else frame
    notes = frame.iloc[:, noted].set_axis(rows, axis=0)
    notes = notes.loc[:, ~notes.columns.duplicated()]
    names = [name for name, is_note in zip(columns, noted, strict=True) if not is_note]
    if names and all(_plain(name) in _QUANTITIES for name in names):
        raise ValueError(
            f"{where} is of one sample: its columns are {some(names, 6)}. Join one of these "
            "columns of every sample to a data frame and pass that; the documentation has a "
            "recipe, 'A file per sample'."
        )
    raw = Raw(
        values=_values(numbers),
        rows=rows,
        columns=names,
        row_notes=notes.rename(columns=str),
        column_notes=pandas.DataFrame(index=names),
        format=format,
        layout=GENES_IN_ROWS if _plain(first) in _GENE_HEADERS else None,
    )
    if any("\ufffd" in name for name in rows + names):
        raw.remarks["encoding"] = "not UTF-8: names hold characters that cannot be read"
    if noted.any():
        raw.remarks["annotations"] = some(list(notes.columns), 8)
    return raw


def _read_head(stream, where) -> _Head:
    head = _Head()
    line, before = "", ""
    for encoded in stream:
        line = encoded.decode("utf-8-sig" if head.skip == 0 else "utf-8", "replace").rstrip("\r\n")
        head.skip += 1
        if line.startswith("#1.3"):
            raise ValueError(
                f"{where} is GCT 1.3; read_expression knows 1.2. Read it with cmapPy and pass its "
                "data frame."
            )
        if line.startswith("#1.2") and head.skip == 1:
            head.format, head.shape = "GCT", _gct_shape(stream.readline(), where)
            head.skip += 1
        elif line.startswith("!"):
            head.format = "GEO series matrix"
            _note_sample_line(line, head.notes)
        elif line.startswith("#") and line.count("\t") > 1:  # a header behind a mark
            line = line[1:]
            break
        elif line.strip() and not line.startswith("#"):
            break
        before, line = line, ""
    if not line:
        raise damaged(where, head.format, "it ends before a header")
    rows = [row for _, row in zip(range(20), stream, strict=False)]
    lines = [row.decode("utf-8", "replace").rstrip("\r\n") for row in rows]
    head.sep = _delimiter(line, where)
    head.header = _split(line, head.sep)
    cells = [_split(row, head.sep) for row in lines if row.strip()]
    if cells and len(cells[0]) == len(head.header) + 1:
        # R's write.table names all columns but the first; others end every row by a delimiter.
        ends = all(row[-1] == "" for row in cells)
        head.header = [*head.header, ""] if ends else ["", *head.header]
    if _plain(head.header[0]) not in _NAME_HEADERS and all(map(_is_number, head.header[1:])):
        raise ValueError(
            f"{where} has no header: its first line {line[:60]!r} reads like values. Write a line "
            "above it that names the columns."
        )
    head.decimal = _decimal_mark([cell for row in cells for cell in row[1:]], head.sep, where)
    lower = [name.lower() for name in head.header]
    if "featureCounts" in before or lower[:3] == ["geneid", "chr", "start"]:
        head.format = "featureCounts"
    elif lower[0] == "hugo_symbol":
        head.format = "cBioPortal"
    elif head.format == "table":
        head.format = {"\t": "tab-separated table", ",": "comma-separated table"}.get(
            head.sep, "table"
        )
    return head


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _gct_shape(line: bytes, where) -> tuple[int, int]:
    try:
        n_rows, n_columns = (int(part) for part in line.split()[:2])
    except ValueError:
        raise damaged(where, "GCT", "its second line does not state rows and columns") from None
    return n_rows, n_columns


def _note_sample_line(line: str, notes: dict) -> None:
    """Keep a line of GEO that tells something of every sample."""
    name, *values = _split(line, "\t")
    if name.startswith("!Sample_"):
        name = name.removeprefix("!Sample_")
        # The characteristics come in a line each, all of the same name.
        again = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", key) is not None for key in notes)
        notes[f"{name}_{again + 1}" if again else name] = values


def _split(line: str, sep: str) -> list[str]:
    if sep == r"\s+":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=sep), [])]


def _delimiter(header: str, where) -> str:
    sep = max("\t,;", key=header.count)
    if header.count(sep):
        return sep
    if len(header.split()) > 1:
        return r"\s+"
    raise ValueError(
        f"{where} has a single column: its header {header[:60]!r} holds no tab, comma, semicolon "
        "or blank. It is no matrix, or cut after a few bytes."
    )


def _decimal_mark(cells: list[str], sep: str, where) -> str:
    commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if sep == "," or not commas:
        return "."
    if all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise ValueError(
            f"{where}: {commas[0]!r} may be a decimal or a number in thousands. Write the numbers "
            "with a point as decimal mark and without a mark of thousands."
        )
    return ","


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
        n_samples = sum(not _is_note(name) for name in head.header[1:])
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
        n_fields = len(_split(last.decode("utf-8", "replace").rstrip("\r\n"), head.sep))
        if n_fields < len(head.header) or not last.endswith((b"\n", b"\r")):
            told = (
                f"its last row has {n_fields} of {len(head.header)} fields and ends {last[-9:]!r}"
            )
            raise damaged(where, head.format, told)


def _values(numbers) -> np.ndarray:
    """Return a data frame's numbers, not copied where pandas holds them as one array."""
    types = list(numbers.dtypes)
    dtype = np.float32 if types and all(t == np.float32 for t in types) else np.float64
    if all(isinstance(t, np.dtype) for t in types):
        return numbers.to_numpy(dtype=dtype)
    return numbers.to_numpy(dtype=dtype, na_value=np.nan)  # pandas' own types may hold pandas.NA


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _is_note(name: str) -> bool:
    return _plain(name) in _NOTES or _plain(name).endswith(("_length", "_id"))


def _holds_numbers(dtype) -> bool:
    types = require("pandas", "anndata").api.types
    return types.is_numeric_dtype(dtype) and dtype.kind in "iuf"


def _refuse_stray_text(column, rows, name, where) -> None:
    """Raise if a column of text is one of numbers but for some cells."""
    text = column.astype(object)
    there = text.notna().to_numpy()
    numbers = require("pandas", "anndata").to_numeric(text, errors="coerce").notna().to_numpy()
    stray = np.flatnonzero(there & ~numbers)
    # A label may be a number here and there; half of a column is beyond that.
    if len(stray) and 2 * len(stray) < there.sum():
        i = stray[0]
        raise ValueError(
            f"{where}: text in the matrix. Row {rows[i]!r} (number {i + 1}), column {name!r} holds "
            f"{str(text.iat[i])!r}; {len(stray):,} of {there.sum():,} values of this column are no "
            "numbers. Correct them or leave them empty."
        )
