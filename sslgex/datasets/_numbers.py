"""Text as numbers, where pandas would crash or be wrong.

pandas' fast parser takes the digits of an exponent for a C int: "1e2147483648" ends the process,
"1e4294967297" is read as 10. An id, such as a barcode or a part of a hash, may look like that.
"""

import re

import numpy as np

from ._raw import require

CHUNK = 2**20  # bytes that are looked at together
# The letter first: so that the search is one for a single byte, nearly always in vain.
_BYTES = [re.compile(rb"%s(?<=[0-9.]%s)[+-]?[0-9]{5}" % (e, e)) for e in (b"e", b"E")]
_TEXT = re.compile(r"[\d.][eE][+-]?\d{5}")
_LONGEST = 7  # bytes of a match after the first


def has_long_exponent(open_stream) -> bool:
    """Tell whether a number in a stream of text has an exponent of five digits or more."""
    with open_stream() as stream:
        before = b""
        while chunk := stream.read(CHUNK):
            if any(pattern.search(before + chunk) for pattern in _BYTES):
                return True
            before = chunk[-_LONGEST - 1 :]
    return False


def to_numbers(column):
    """Return a pandas series of text or numbers as numbers, NaN for what is none."""
    if column.dtype.kind == "O":
        unsafe = [isinstance(v, str) and _TEXT.search(v) is not None for v in column]
        column = column.mask(np.array(unsafe, dtype=bool))
    return require("pandas", "anndata").to_numeric(column, errors="coerce")
