"""From evidence to conclusions: orientation, kind of gene identifiers, unit."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._genes import KINDS, shares_of_kinds
from ._raw import GENES_IN_ROWS, SAMPLES_IN_ROWS, some
from ._tcga_brca import load_tcga_brca

ORIENTATIONS = (SAMPLES_IN_ROWS, GENES_IN_ROWS)
GENE_IDS = tuple(kind for kind in KINDS if kind != "sample")
# The scale of a unit, and how values of one gene are merged on it (None: nobody can tell).
UNITS: dict[str, tuple[str, str | None]] = {
    "counts": ("linear", "sum"),
    "expected counts": ("linear", "sum"),
    "TPM or CPM": ("linear", "sum"),
    "TPM": ("linear", "sum"),
    "CPM": ("linear", "sum"),
    "FPKM": ("linear", "sum"),
    "linear": ("linear", None),
    "log2(TPM + 1)": ("log", "mean"),
    "log2(CPM + 1)": ("log", "mean"),
    "log2(x + 1)": ("log", "mean"),
    "ln(x + 1)": ("log", "mean"),
    "log(x + 1)": ("log", "mean"),
    "log": ("log", "mean"),
    "centred": ("centred", "mean"),
    "standardised": ("centred", "mean"),
    "unknown": ("", None),
}

_LARGEST_LOG = 30.0  # log2 of a billion; amounts and counts go far beyond
_SMALLEST_COUNTS = 30.0  # integers that stay below may be codes, ranks or calls
_LARGEST_LN = 16.0  # the natural logarithm of nine million
_SHARE_OF_LARGE = 0.05  # of the values above 0 beyond half the largest; logarithms have .13 to .27
_BLOCK = 2**20  # values looked at at once
_MICRORNA = re.compile(r"[a-z]{3}-(mir|let)-", re.IGNORECASE)
# What a spreadsheet makes of MARCH1, SEPT2 and DEC1.
_DATE = re.compile(r"\d{1,2}-(Mar|Sep|Dec|Oct)|(Mar|Sep|Dec|Oct)-\d{2}", re.IGNORECASE)


# ------------------------------------------------------------------------------- orientation


@dataclass
class _Axis:
    """What the names of rows or columns look like."""

    names: list[str]

    def __post_init__(self):
        shares = shares_of_kinds(self.names)
        self.samples = shares.get("sample", 0.0)
        self.ids = sum(shares.get(k, 0.0) for k in GENE_IDS if k not in ("Entrez", "symbol"))
        self.ids += sum(_MICRORNA.match(name) is not None for name in self.names) / len(self.names)
        self.known = sum(name.upper() in _symbols() for name in self.names)
        share = self.known / len(self.names)
        # The small dictionary holds one in seven to twenty genes of a transcriptome.
        self.are_genes = self.ids >= 0.5 or share >= 0.5 or (self.known >= 3 and share >= 0.02)
        self.are_samples = self.samples >= 0.5

    def __str__(self):
        told = [f"{self.samples:.0%} look like samples"] if self.samples else []
        told += [f"{self.ids:.0%} like identifiers of genes"] if self.ids else []
        told += [f"{self.known:,} are known gene symbols"] if self.known else []
        return f"{', '.join(told) or 'no names known'} ({some(self.names, 2)})"


def conclude_orientation(rows, columns, layout: str | None, where: str) -> tuple[str, str]:
    """Return the orientation and the evidence, or raise where that is weak or contradictory.

    The names of rows, those of columns and the layout of the format may tell; they must agree.
    """
    row, column = _Axis(rows), _Axis(columns)
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
        first, second = (next(n for n in names if KINDS[k].fullmatch(n)) for k in found[:2])
        raise ValueError(
            f"{where} mixes kinds of gene identifiers: {evidence} (such as {first!r} and "
            f"{second!r}). Translate them to one kind, or keep them as they are by "
            f"gene_ids={found[0]!r}."
        )
    if not found or shares[found[0]] < 0.5:
        return "unknown", f"{evidence} (first: {some(names)})"
    return found[0], evidence


def dates_among(names) -> list[str]:
    """Return names that a spreadsheet has turned into dates."""
    return [name for name in names if _DATE.fullmatch(name)]


# -------------------------------------------------------------------------------------- unit


class Values:
    """Statistics of a samples x genes matrix, from one pass over blocks of rows."""

    def __init__(self, values):
        n, d = values.shape
        self.shape = (n, d)
        self.smallest, self.largest = np.inf, -np.inf
        self.levels = np.zeros(int(100 * _LARGEST_LOG) + 1)  # how many values, by 0.01
        self.n_zeros = self.n_negative = self.n_integers = self.n_missing = self.n_infinite = 0
        self.first_missing = None  # row, column
        self.sums, self.squares, self.log2_sums, self.ln_sums = (np.zeros(n) for _ in range(4))
        self.empty_samples, self.empty_genes = np.zeros(n, dtype=bool), np.ones(d, dtype=bool)
        total, squares, present, n_zero_of_genes = (np.zeros(d) for _ in range(4))
        step = max(1, _BLOCK // d)
        for i in range(0, n, step):
            rows = slice(i, i + step)
            block = values[rows]
            block = np.array(block.toarray() if sp.issparse(block) else block, dtype=np.float64)
            finite = np.isfinite(block)
            if not finite.all():
                self.n_infinite += int(np.isinf(block).sum())
                self.n_missing += int(np.isnan(block).sum())
                if self.first_missing is None:
                    row, column = np.argwhere(~finite)[0]
                    self.first_missing = (i + int(row), int(column))
                block[~finite] = np.nan
            zero = block == 0
            self.n_zeros += int(zero.sum())
            self.n_negative += int((block < 0).sum())
            self.n_integers += int((block == np.rint(block)).sum())
            # Of nothing but missing values nobody knows.
            self.empty_samples[rows] = (zero | ~finite).all(axis=1) & zero.any(axis=1)
            self.empty_genes &= (zero | ~finite).all(axis=0)
            n_zero_of_genes += zero.sum(axis=0)
            block[~finite] = 0
            if finite.any():
                self.smallest = min(self.smallest, float(block[finite].min()))
                self.largest = max(self.largest, float(block[finite].max()))
            self.sums[rows] = block.sum(axis=1)
            self.squares[rows] = (block**2).sum(axis=1)
            if self.largest <= _LARGEST_LOG:  # else these sums mean nothing
                self.log2_sums[rows] = (np.exp2(block) - 1).sum(axis=1)
                self.ln_sums[rows] = np.expm1(block).sum(axis=1)
                level = np.rint(100 * block[block > 0]).astype(np.int64)
                self.levels += np.bincount(level, minlength=len(self.levels))
            total += block.sum(axis=0)
            squares += (block**2).sum(axis=0)
            present += finite.sum(axis=0)
        self.n_finite = int(present.sum())
        self.empty_genes &= n_zero_of_genes > 0
        self.means = total / np.maximum(present, 1)
        self.spreads = np.sqrt(np.maximum(squares / np.maximum(present, 1) - self.means**2, 0))

    @property
    def integers(self) -> bool:
        """Whether all finite values are integers."""
        return self.n_integers == self.n_finite > 0

    @property
    def share_of_large(self) -> float:
        """How many of the values above 0 exceed half the largest; of none beyond `_LARGEST_LOG`."""
        return float(self.levels[int(50 * self.largest) + 1 :].sum() / max(self.levels.sum(), 1))


def conclude_unit(v: Values) -> tuple[str, str]:
    """Return the unit and the evidence; "unknown" rather than a guess."""
    if v.n_finite == 0:
        return "unknown", "no value is finite"
    span = f"values from {v.smallest:.4g} to {v.largest:,.6g}"
    if v.n_negative:
        return _of_negative(v, f"{v.n_negative / v.n_finite:.1%} negative, {span}")
    span = f"none negative, {span}"
    if _are(v.sums, 1e6):
        return "TPM or CPM", f"samples sum to 1e6 ({_range(v.sums)}), {span}"
    equal = _are_equal(v.sums)
    if v.integers:
        if equal:
            return "unknown", f"all integers, of which every sample has the same sum, {span}"
        unit = "counts" if v.largest >= _SMALLEST_COUNTS else "unknown"
        return unit, f"all integers, {span}"
    if v.largest <= _LARGEST_LOG:
        return _of_logs(v, span)
    # RSEM's expected counts are integers wherever no read is ambiguous.
    whole = f"{v.n_integers / v.n_finite:.0%} integers, samples sum to {_range(v.sums)}, {span}"
    share = (v.n_integers - v.n_zeros) / max(v.n_finite - v.n_zeros, 1)
    if share >= 0.3 and np.median(v.sums) >= 1e4 and not equal:
        return "expected counts", whole
    return "linear", whole


def _of_negative(v: Values, span: str) -> tuple[str, str]:
    varies = v.spreads > 0
    if not varies.any() or max(v.largest, -v.smallest) > _LARGEST_LOG:
        return "unknown", span
    means, spreads = v.means[varies], v.spreads[varies]
    span += f"; of the genes' means 95 % are within {np.quantile(abs(means), 0.95):.2g} of 0"
    if np.mean(abs(means) < 0.01 * spreads) >= 0.95:
        n = v.shape[0]
        for unbiased in (1.0, np.sqrt(n / max(n - 1, 1))):  # R's scale divides by n - 1
            if np.mean(abs(unbiased * spreads - 1) < 0.05) >= 0.95:
                return "standardised", f"{span}, their standard deviations are 1"
        return "centred", span
    d = v.shape[1]
    scaled = d > 1 and (_are(v.squares, d) or _are(v.squares, d - 1))
    if scaled and (abs(v.sums) < 0.01 * d).all():
        return "standardised", f"{span}; within each sample the mean is 0, the deviation 1"
    # Genes differ more between each other than between samples on every scale but a centred one.
    if means.std() > np.median(spreads):
        return "log", span
    return "unknown", span


def _of_logs(v: Values, span: str) -> tuple[str, str]:
    if _are(v.log2_sums, 1e6):
        return "log2(TPM + 1)", f"2**x - 1 sums to 1e6 ({_range(v.log2_sums)}), {span}"
    # Which sum is open, so that it must be kept the closer. After quantile normalisation the
    # samples have any sum in common.
    if min(v.shape) > 1 and _are_equal(v.ln_sums, 1e-3) and not _are_equal(v.sums, 1e-3):
        return "ln(x + 1)", f"exp(x) - 1 sums to {_range(v.ln_sums)}, {span}"
    # A logarithm spreads the values over its range; of amounts few are large.
    if v.largest <= 1 or v.share_of_large < _SHARE_OF_LARGE:
        return "unknown", f"{v.share_of_large:.1%} of the values beyond half the largest, {span}"
    if v.n_zeros == 0:
        return "log", f"no zeros, {span}"
    if v.largest > _LARGEST_LN:
        return "log2(x + 1)", f"{v.n_zeros / v.n_finite:.1%} zeros, {span}"
    return "log(x + 1)", f"{v.n_zeros / v.n_finite:.1%} zeros, {span}; of which base cannot be told"


def _are(sums: np.ndarray, target: float, tolerance: float = 0.01) -> bool:
    """Tell whether sums are the target, but for samples without anything."""
    sums = sums[sums != 0]
    return len(sums) > 0 and bool((abs(sums - target) <= tolerance * target).all())


def _are_equal(sums: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Tell whether two or more samples have the same sum, but for samples without anything."""
    return bool(np.count_nonzero(sums) > 1) and _are(
        sums, float(np.median(sums[sums != 0])), tolerance
    )


def _range(sums: np.ndarray) -> str:
    return f"{sums.min():,.0f} to {sums.max():,.0f}"
