"""What is claimed of the recipe, and the tables that show what came out."""

from typing import NamedTuple

import numpy as np
import pandas as pd

SIZES = ("one per class", "20", "50", "100")
FEW = ("one per class", "20", "50")  # where 20 are drawn, one per class is fewer
OURS = "BYOL: default"
LINEAR = "PCA (k by CV) + LR"
POOL = "linear pool"


class Claim(NamedTuple):
    """A difference of two entries, in points, and what it should be.

    Attributes
    ----------
    what : str
        In words.
    entry, opponent : str
        Whose difference.
    metric : str
        Of which score.
    sizes : tuple of str
        At which numbers of labels.
    worst : str or None
        None for the mean over data sets and sizes, "cell" or "set" for the lowest of them.
    target : float
        What was aimed at.
    at_most : bool
        Whether the difference should be no higher than the target.
    """

    what: str
    entry: str
    opponent: str
    metric: str
    sizes: tuple[str, ...]
    worst: str | None
    target: float
    at_most: bool = False


MAIN = ("one per class", "50", "100")
CLAIMS = [
    *(
        Claim(f"default with its pool vs {LINEAR}, {words}, {size}", OURS, LINEAR, metric, (size,),
              None, target)
        for metric, words, targets in (
            ("accuracy", "accuracy", (3, 1.5, 0.8)),
            ("balanced_accuracy", "balanced accuracy", (4, 2, 1)),
        )
        for size, target in zip(MAIN, targets, strict=True)
    ),
    Claim("the same, worst cell, accuracy", OURS, LINEAR, "accuracy", MAIN, "cell", -0.8),
    Claim(f"without a pool vs {LINEAR}, accuracy", "BYOL: no pool", LINEAR, "accuracy", MAIN, None,
          0.6),
    Claim("the same, worst cell", "BYOL: no pool", LINEAR, "accuracy", MAIN, "cell", -1.0),
    Claim("default vs the pool of linear experts, worst cell, accuracy", OURS, POOL, "accuracy",
          MAIN, "cell", -0.8),
    Claim("embedding + LR vs PCA (64) + LR, balanced accuracy, 20 to 50", "BYOL: embedding + LR",
          "PCA (64) + LR", "balanced_accuracy", FEW, None, 1.5),
    Claim("the same, worst set", "BYOL: embedding + LR", "PCA (64) + LR", "balanced_accuracy", FEW,
          "set", -1.0),
    Claim("default vs the study's network from scratch, accuracy, 20", OURS, "the study's network",
          "accuracy", FEW, None, 10),
    Claim("default vs GeneICL, breast tumours, accuracy, worst of 20, 50, 100", OURS, "GeneICL",
          "accuracy", ("20", "50", "100"), "cell", 0),
    Claim("the same, balanced accuracy", OURS, "GeneICL", "balanced_accuracy",
          ("20", "50", "100"), "cell", 0),
    Claim("pretrained on permuted genes, without a pool, vs the linear pool, accuracy",
          "BYOL, genes permuted: no pool", POOL, "accuracy", MAIN, None, 0, at_most=True),
    Claim("default vs linear pool, calibration error (negated), 50 and 100", OURS, POOL,
          "neg_calibration_error", ("50", "100"), None, 0),
    Claim("default vs linear pool + propagated, balanced accuracy, 20 to 50", OURS,
          "linear pool + propagated", "balanced_accuracy", FEW, None, 3),
]  # fmt: skip


def cells(frame: pd.DataFrame, entry: str, opponent: str, metric: str) -> pd.DataFrame:
    """Return, per data set and size, mean and standard error over splits of the difference."""
    index = ["set", "size", "split", "draw"]
    wide = frame.pivot_table(index=index, columns="entry", values=metric)
    gap = 100 * (wide[entry] - wide[opponent]).dropna()
    splits = gap.groupby(["set", "size", "split"]).mean().groupby(["set", "size"])
    return pd.DataFrame({"mean": splits.mean(), "se": splits.sem()})


def by_size(found: pd.DataFrame) -> pd.DataFrame:
    """Return, per size, the mean over data sets of what `cells` found, and its standard error."""
    sizes = found.groupby("size")
    error = sizes["se"].agg(lambda se: np.sqrt((se**2).sum()) / len(se))
    return pd.DataFrame({"mean": sizes["mean"].mean(), "se": error})


def few(found: pd.DataFrame) -> pd.DataFrame:
    """Leave out one label per class where 20 labels are more."""
    twenty = found.index[found.index.get_level_values("size") == "20"].get_level_values("set")
    fewer = [(name, "one per class") for name in twenty]
    return found.drop([at for at in fewer if at in found.index])


def measured(frame: pd.DataFrame, claim: Claim) -> tuple[float, float, str]:
    """Return the difference, its standard error, and the cell or set if it is the worst."""
    found = cells(frame, claim.entry, claim.opponent, claim.metric)
    found = found[found.index.isin(claim.sizes, level="size")]
    if claim.sizes == FEW:
        found = few(found)
    if claim.worst == "cell":
        at = found["mean"].idxmin()
        return *found.loc[at, ["mean", "se"]], ", ".join(at)
    # The sizes of one set share its splits: their errors are taken to be one.
    sets = found.groupby("set").mean()
    if claim.worst == "set":
        at = sets["mean"].idxmin()
        return *sets.loc[at, ["mean", "se"]], at
    return sets["mean"].mean(), float(np.sqrt((sets["se"] ** 2).sum())) / len(sets), ""


def verdict(claim: Claim, mean: float, error: float) -> str:
    """Return whether the aim was reached; what should not be above it may be by two errors."""
    if claim.at_most:
        return "reached" if mean <= claim.target + 2 * error else "**missed**"
    return "reached" if mean >= claim.target else "**missed**"


def claims_table(frame: pd.DataFrame) -> str:
    """Return the claims with their verdicts."""
    lines = ["| claim | aim | came out ± standard error | |", "|---|---|---|---|"]
    for claim in CLAIMS:
        if not {claim.entry, claim.opponent} <= set(frame["entry"]):
            continue
        mean, error, at = measured(frame, claim)
        bound = "≤" if claim.at_most else "≥"
        at = f" ({at})" if at else ""
        lines.append(
            f"| {claim.what} | {bound} {claim.target:+g} | {mean:+.2f} ± {error:.2f}{at} "
            f"| {verdict(claim, mean, error)} |"
        )
    return "\n".join(lines)


def means_table(frame: pd.DataFrame) -> str:
    """Return the mean scores of all entries over the data sets."""
    shown = [("accuracy", 100, 1), ("balanced_accuracy", 100, 1), ("neg_log_loss", -1, 2),
             ("neg_calibration_error", -100, 1)]  # fmt: skip
    frame = frame[frame["size"].isin(MAIN)]
    cells = frame.groupby("entry")[["set", "size"]].apply(lambda at: len(at.drop_duplicates()))
    entries = [e for e in frame["entry"].unique() if cells[e] == cells.max()]
    lines = [
        "| | accuracy | balanced accuracy | log loss | calibration error |",
        "|---|---|---|---|---|",
    ]
    for entry in entries:
        mine = frame[frame["entry"] == entry]
        columns = []
        for metric, unit, digits in shown:
            by = mine.groupby(["set", "size"])[metric].mean().groupby("size").mean()
            columns.append(" / ".join(f"{unit * by[size]:.{digits}f}" for size in MAIN))
        lines.append(f"| {entry} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def controls_table(frame: pd.DataFrame) -> str:
    """Return what the default classifier has over itself with an encoder that learned nothing."""
    lines = ["| BYOL against | accuracy | balanced accuracy |", "|---|---|---|"]
    for control in ("random network", "BYOL, genes permuted"):
        row = []
        for metric in ("accuracy", "balanced_accuracy"):
            by = by_size(cells(frame, OURS, f"{control}: default", metric)).loc[list(SIZES)]
            row.append(" / ".join(f"{at['mean']:+.1f} ± {at['se']:.1f}" for _, at in by.iterrows()))
        lines.append(f"| {control} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def sets_table(frame: pd.DataFrame, titles: dict[str, str]) -> str:
    """Return the main differences of every data set and number of labels."""
    pairs = {
        f"default − {LINEAR}": (OURS, LINEAR),
        f"default − {POOL}": (OURS, POOL),
        "embedding − PCA (64), + LR": ("BYOL: embedding + LR", "PCA (64) + LR"),
    }
    both = ("accuracy", "balanced_accuracy")
    lines = ["| data set, labels | " + " | ".join(pairs) + " |", "|---" * (1 + len(pairs)) + "|"]
    found = {
        (name, metric): cells(frame, *pair, metric)
        for name, pair in pairs.items()
        for metric in both
    }
    for name in frame["set"].unique():
        for size in SIZES:
            if (name, size) not in next(iter(found.values())).index:
                continue
            row = [f"{titles[name]}, {size}"]
            for pair in pairs:
                parts = [found[pair, m].loc[(name, size)] for m in both]
                row.append(" / ".join(f"{p['mean']:+.1f} ± {p['se']:.1f}" for p in parts))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)
