"""What the lines before a table's values tell: format, names, delimiter, decimal mark."""

import csv
import re
from dataclasses import dataclass, field

from ._notes import NAME_HEADERS, plain
from ._raw import damaged

_DECIMAL_POINT = re.compile(r"[-+]?\d+\.\d+([eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
_POINT_OF_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+")
_BELOW_THOUSAND = re.compile(r"[-+]?[1-9]\d{0,2}")


@dataclass
class Head:
    """What the lines before the first row of values tell."""

    format: str = "table"
    skip: int = 0  # lines up to and including the header
    header: list[str] = field(default_factory=list)
    sep: str = "\t"
    decimal: str = "."
    shape: tuple[int, int] | None = None  # stated by GCT: rows, samples
    notes: dict[str, list[str]] = field(default_factory=dict)  # of samples, by GEO


def read_head(stream, where) -> Head:
    """Read the lines before the first row of values, and look at the first rows."""
    head = Head()
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
    head.header = split(line, head.sep)
    cells = [split(row, head.sep) for row in lines if row.strip()]
    if cells and len(cells[0]) == len(head.header) + 1:
        # R's write.table names all columns but the first; others end every row by a delimiter.
        ends = all(row[-1] == "" for row in cells)
        if ends and plain(head.header[0]) not in NAME_HEADERS:
            raise ValueError(
                f"{where}: the rows have one field more than the header, and end empty. Is "
                f"{head.header[0]!r} the name of the first column, or of a sample? Name every "
                "column in the header."
            )
        head.header = [*head.header, ""] if ends else ["", *head.header]
    if plain(head.header[0]) not in NAME_HEADERS and all(map(_is_number, head.header[1:])):
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
    name, *values = split(line, "\t")
    if name.startswith("!Sample_"):
        name = name.removeprefix("!Sample_")
        # The characteristics come in a line each, all of the same name.
        again = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", key) is not None for key in notes)
        notes[f"{name}_{again + 1}" if again else name] = values


def split(line: str, sep: str) -> list[str]:
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
    points = [cell for cell in cells if "." in cell]
    # 423 beside 2.423: with a fixed number of decimals it were 423.000.
    if (
        points
        and all(_POINT_OF_THOUSANDS.fullmatch(cell) for cell in points)
        and any(_BELOW_THOUSAND.fullmatch(cell) for cell in cells)
    ):
        raise _thousands(points[0], where)
    commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if sep == "," or not commas or any(map(_DECIMAL_POINT.fullmatch, cells)):
        return "."
    if all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise _thousands(commas[0], where)
    return ","


def _thousands(cell: str, where) -> ValueError:
    return ValueError(
        f"{where}: {cell!r} may be a decimal or a number in thousands. Write the numbers with a "
        "point as decimal mark and without a mark of thousands."
    )
