"""From values to a unit."""

import numpy as np
import scipy.sparse as sp

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
# Of the values above 0 so many exceed a quarter of the largest at least: logarithms have .37 to .78
# of theirs, TPM of weak genes .04 to .07.
_SHARE_OF_LARGE = 0.2
_BLOCK = 2**20  # values looked at at once
# Sums and squares of what no expression can be, 1e308, are infinite, and of no unit.
_HUGE = np.errstate(over="ignore", invalid="ignore")


class Values:
    """Statistics of a samples x genes matrix, from one pass over blocks of rows."""

    @_HUGE
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
        """Share of values above 0 that exceed a quarter of the largest, if that is a logarithm."""
        return float(self.levels[int(25 * self.largest) + 1 :].sum() / max(self.levels.sum(), 1))


@_HUGE
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
    if v.shape[1] > 1 and not _are_equal(v.sums, 1e-3):
        if _are_equal(v.log2_sums, 1e-3):
            return "log2(x + 1)", f"2**x - 1 sums to {_range(v.log2_sums)}, {span}"
        if _are_equal(v.ln_sums, 1e-3):
            return "ln(x + 1)", f"exp(x) - 1 sums to {_range(v.ln_sums)}, {span}"
    # A logarithm spreads the values over its range; of amounts few are large.
    if v.largest <= 1 or v.share_of_large < _SHARE_OF_LARGE:
        return (
            "unknown",
            f"{v.share_of_large:.1%} of the values beyond a quarter of the largest, {span}",
        )
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
    there = sums[sums != 0]
    return len(there) > 1 and _are(there, float(np.median(there)), tolerance)


def _range(sums: np.ndarray) -> str:
    return f"{sums.min():,.0f} to {sums.max():,.0f}"
