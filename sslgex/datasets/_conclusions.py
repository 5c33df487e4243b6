"""From names to conclusions: orientation, kind of gene identifiers."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .._genes import KINDS, kind, shares_of_kinds
from ._raw import GENES_IN_ROWS, SAMPLES_IN_ROWS, some
from ._tcga_brca import load_tcga_brca

ORIENTATIONS = (SAMPLES_IN_ROWS, GENES_IN_ROWS)
GENE_IDS = tuple(kind for kind in KINDS if kind != "sample")
_MICRORNA = re.compile(r"[a-z]{3}-(mir|let)-", re.IGNORECASE)
# What a spreadsheet makes of MARCH1, SEPT2 and DEC1.
_DATE = re.compile(r"\d{1,2}-(Mar|Sep|Dec|Oct)|(Mar|Sep|Dec|Oct)-\d{2}", re.IGNORECASE)


# ------------------------------------------------------------------------------- orientation


@dataclass
class Axis:
    """What the names of rows or columns look like."""

    names: list[str]

    def __post_init__(self):
        n = len(self.names)
        # Numbers may be of genes, probes or patients, and decide nothing.
        self.numbers = sum(name.isdecimal() for name in self.names) / n
        found = Counter(kind(name) for name in self.names if not name.isdecimal())
        self.samples = found["sample"] / n
        self.ids = sum(found[k] for k in GENE_IDS if k != "symbol") / n
        self.ids += sum(_MICRORNA.match(name) is not None for name in self.names) / n
        self.known = sum(name.upper() in _symbols() for name in self.names)
        share = self.known / n
        # The small dictionary holds one in seven to twenty genes of a transcriptome.
        self.are_genes = self.ids >= 0.5 or share >= 0.5 or (self.known >= 3 and share >= 0.02)
        self.are_samples = self.samples >= 0.5

    def __str__(self):
        told = [f"{self.samples:.0%} look like samples"] if self.samples else []
        told += [f"{self.ids:.0%} like identifiers of genes"] if self.ids else []
        told += [f"{self.numbers:.0%} are numbers"] if self.numbers else []
        told += [f"{self.known:,} are known gene symbols"] if self.known else []
        return f"{', '.join(told) or 'no names known'} ({some(self.names, 2)})"


def conclude_orientation(rows, columns, layout: str | None, where: str) -> tuple[str, str]:
    """Return the orientation and the evidence, or raise where that is weak or contradictory.

    The names of rows, those of columns and the layout of the format may tell; they must agree.
    """
    row, column = Axis(rows), Axis(columns)
    evidence = f"rows: {row}; columns: {column}"
    told = set() if layout is None else {layout}
    if row.are_samples or column.are_genes:
        told.add(SAMPLES_IN_ROWS)
    if row.are_genes or column.are_samples:
        told.add(GENES_IN_ROWS)
    if len(told) == 1:
        return told.pop(), evidence if layout is None else f"the layout of this format; {evidence}"
    prescribed = f" The format has {layout}." if layout else ""
    raise ValueError(
        f"{where}: are the samples in rows or in columns? The {len(rows):,} x {len(columns):,} "
        f"matrix does not tell.{prescribed} Rows: {row}. Columns: {column}. "
        f"Settle it by orientation={SAMPLES_IN_ROWS!r} or orientation={GENES_IN_ROWS!r}."
    )


@cache
def _symbols() -> frozenset:
    """Return some real gene symbols: names of cell lines such as A549 look like symbols too."""
    brca: Any = load_tcga_brca()
    return frozenset(str(name) for name in brca.feature_names)


def are_numbered(names) -> bool:
    """Tell whether names are consecutive numbers, which name nothing."""
    if not all(name.isdecimal() for name in names):
        return False
    numbers = np.array([int(name) for name in names])
    return bool((np.diff(numbers) == 1).all())


# ------------------------------------------------------------------------------- identifiers


def conclude_gene_ids(names, where: str) -> tuple[str, str]:
    """Return the kind of gene identifiers and the evidence, or raise where two kinds are mixed."""
    shares = shares_of_kinds(names)
    evidence = ", ".join(f"{share:.1%} {kind}" for kind, share in shares.items())
    if are_numbered(names):
        return "unknown", f"consecutive numbers (first: {some(names)})"
    found = [kind for kind in shares if kind in GENE_IDS]
    if len(found) > 1 and shares[found[1]] >= 0.1:
        first, second = (next(n for n in names if kind(n) == k) for k in found[:2])
        raise ValueError(
            f"{where} mixes kinds of gene identifiers: {evidence} (such as {first!r} and "
            f"{second!r}). Translate them to one kind, or keep them as they are by "
            f"gene_ids={found[0]!r}."
        )
    if not found or shares[found[0]] < 0.5:
        return "unknown", f"{evidence} (first: {some(names)})"
    return found[0], evidence


def unlike_the_others(names) -> list[str]:
    """Return the names of another kind than most: labels and statistics, perhaps."""
    shares = shares_of_kinds(names)
    most = next(iter(shares))
    if shares[most] < 0.5 or most == "other" or are_numbered(names):
        return []
    if most == "symbol":
        # Nearly all words look like symbols, but symbols have capital letters or digits.
        small = [name for name in names if re.fullmatch(r"[a-z][a-z_. ]*", name)]
        return small if len(small) < 0.1 * len(names) else []
    alike = {most, "Entrez", "probe"} if most in ("Entrez", "probe") else {most}
    return [n for n in names if kind(n) not in alike and not n.startswith("ERCC-")]


def dates_among(names) -> list[str]:
    """Return names that a spreadsheet has turned into dates."""
    return [name for name in names if _DATE.fullmatch(name)]
