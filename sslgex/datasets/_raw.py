"""What a reader of any format returns, and the errors that readers share."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

GENES_IN_ROWS = "genes x samples"
SAMPLES_IN_ROWS = "samples x genes"


@dataclass
class Raw:
    """A matrix as it is in its source, before anything is concluded from it."""

    values: Any  # ndarray or CSR/CSC matrix
    rows: list[str]
    columns: list[str]
    row_notes: Any  # data frames: what the source says of rows and columns beside their names
    column_notes: Any
    format: str
    layout: str | None = None  # the orientation that the format prescribes, None for either
    gene_ids: str | None = None  # the kind that the format prescribes
    remarks: dict[str, str] = field(default_factory=dict)
    uns: dict = field(default_factory=dict)


def require(package: str, extra: str) -> Any:
    """Import an optional package, or say which extra has it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"read_expression requires {package} for this source. "
            f'Install it with: pip install "sslgex[{extra}]"'
        ) from error


def damaged(where: str, what: str, error: BaseException | str) -> ValueError:
    """Return the error for a file that stops or breaks in the middle."""
    lines = str(error).strip().splitlines()
    detail = f" ({lines[0]})" if lines else ""
    return ValueError(
        f"{where} cannot be read as {what}{detail}. The file is damaged or cut: fetch it again and "
        "compare its size with the source's."
    )


def some(names, n: int = 3) -> str:
    """Return the first names for an error message."""
    shown = ", ".join(repr(str(name)) for name in names[:n])
    return shown + (", ..." if len(names) > n else "")
