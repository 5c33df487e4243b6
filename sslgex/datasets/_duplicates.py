"""Names that occur more than once: genes are merged, samples are refused."""

import numpy as np
import scipy.sparse as sp

from ._raw import some
from ._units import UNITS

RULES = ("sum", "mean", "max", "first", "error")


def refuse_duplicate_samples(names: list, where: str) -> None:
    """Raise if two samples have the same name."""
    twice = _repeated(names)
    if twice:
        first = [i + 1 for i, name in enumerate(names) if name == twice[0]]
        raise ValueError(
            f"{where}: sample names must be unique, but {len(twice):,} occur more than once "
            f"(first: {twice[0]!r}, samples number {', '.join(map(str, first[:5]))}). Rename or "
            "merge them: they may be replicates, or a file that was joined twice. If these are "
            "genes, set orientation."
        )


def merge_genes(values, var, rule: str, unit: str, where: str):
    """Return values and annotations with every gene once, and what was done.

    A merged gene stands where it occurred first, with the annotations from there.
    """
    names = var.index.to_numpy()
    twice = _repeated(names)
    if not twice:
        return values, var, "none"
    told = f"{len(twice):,} gene names occur more than once ({some(twice)})"
    if rule == "auto":
        merging = UNITS[unit][1]
        if merging is None:
            raise ValueError(
                f"{where}: {told}, and the unit is {unit}, so nobody can tell how to merge them. "
                "Say unit=... (counts and TPM are summed, logarithms averaged), or "
                "duplicates='sum', 'mean', 'max' or 'first'."
            )
        rule = merging
    if rule == "error":
        raise ValueError(
            f"{where}: {told}, and duplicates='error'. 'sum', 'mean', 'max' and 'first' merge them."
        )
    first = ~var.index.duplicated()
    position = {name: k for k, name in enumerate(names[first])}
    merged = values[:, first]
    if rule != "first":
        merged = _replace(values, merged, names, position, twice, rule)
    n = len(names) - int(first.sum())
    return merged, var[first], f"{told}: {n:,} columns merged by the {rule}"


def _replace(values, merged, names, position, twice, rule):
    """Return the merged matrix, the columns of repeated genes computed by the rule."""
    columns = [position[name] for name in twice]
    group = {name: k for k, name in enumerate(twice)}
    those = np.flatnonzero([name in group for name in names])
    of = np.array([group[names[j]] for j in those])
    order = np.argsort(of, kind="stable")  # genes of one name side by side
    those, of = those[order], of[order]
    block = values[:, those]
    # Few columns, in full precision: the sum of integers may exceed their type.
    block = np.asarray(block.toarray() if sp.issparse(block) else block, dtype=np.float64)
    # A product with an indicator matrix would spread a missing value (0 * NaN) to all of them.
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    new = (np.maximum if rule == "max" else np.add).reduceat(block, starts, axis=1)
    if rule == "mean":
        new /= np.bincount(of)
    if not sp.issparse(merged):
        merged = merged.astype(np.float64) if merged.dtype.kind in "iub" else merged.copy()
        merged[:, columns] = new
        return merged
    kept = np.ones(merged.shape[1])
    kept[columns] = 0
    back = sp.csr_array(
        (np.ones(len(columns)), (range(len(columns)), columns)),
        shape=(len(columns), merged.shape[1]),
    )
    return type(merged)(merged @ sp.diags_array(kept) + sp.csr_array(new) @ back)


def _repeated(names) -> list:
    """Return the names that occur more than once, in the order of their first occurrence."""
    counts: dict = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [name for name, n in counts.items() if n > 1]
