"""Gene names: what kind of identifiers they are, and when two of them mean the same gene."""

import re
from collections.abc import Iterable

import numpy as np

# What a kind of identifier looks like, whole; the first that fits is the name's.
KINDS = {
    # ENSGR0000002586 is how older releases name a copy on the Y chromosome.
    "Ensembl gene": re.compile(r"ENS[A-Z]{0,4}G(\d{11}|R\d{10})(\.\d+)?(_PAR_Y)?"),
    "Ensembl transcript": re.compile(r"ENS[A-Z]{0,4}T\d{11}(\.\d+)?(_PAR_Y)?"),
    "RefSeq": re.compile(r"[NX][MR]_\d{6,}(\.\d+)?"),
    # Of Affymetrix (numbers alone are Gene ST), Illumina and Agilent.
    "probe": re.compile(
        r"\d+(_[a-z])*_at|AFFX-.+|(789\d|(79|80|81)\d\d)\d{3}|1[67]\d{6}|T[CS]\w+\.(hg|mm|rn)\.\d|"
        r"ILMN_\d+|cg\d{8}|A_\d+_P\d+"
    ),
    "sample": re.compile(
        r"TCGA-\w\w-\w{4}.*|GTEX-.*|GSM\d{3,}|[SED]R[RSX]\d{5,}|SAM(N|EA|D)\d{6,}|TARGET-\d\d-.*|"
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ),
    "Entrez": re.compile(r"\d{1,9}"),
    "symbol": re.compile(r"[A-Za-z][A-Za-z0-9]*([-.@_][A-Za-z0-9]+)*"),
}
_VERSION = re.compile(r"(ENS[A-Z]{0,4}[GT](\d{11}|R\d{10}))\.\d+")


def strip_version(name: str) -> str:
    """Return an Ensembl id without its version; any other name as it is.

    ``ENSG00000141510.16`` is ``ENSG00000141510``. The suffix of a copy on the Y chromosome stays
    (``ENSG00000002586.20_PAR_Y`` is ``ENSG00000002586_PAR_Y``), and so does its older form
    (``ENSGR0000002586``): that is another locus.
    """
    return _VERSION.sub(r"\1", name, count=1) if name.startswith("ENS") else name


def strip_versions(names: Iterable) -> np.ndarray:
    """Return the names as an array of str of dtype object, Ensembl ids without their versions."""
    return np.array([strip_version(str(name)) for name in names], dtype=object)


def kind(name: str) -> str | None:
    """Return the kind of identifier a name looks like, None for none.

    "symbol" says the least: many words look like one.
    """
    return next((k for k, form in KINDS.items() if form.fullmatch(name)), None)


def shares_of_kinds(names: Iterable) -> dict[str, float]:
    """Return which share of the names looks like which kind, the commonest first."""
    found = [kind(str(name)) or "other" for name in names]
    values, counts = np.unique(found, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(values[i]): float(counts[i] / len(found)) for i in order}
