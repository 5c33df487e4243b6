"""How does the gain grow with the unlabelled pool? On the frozen splits of ``recipe.py``.

    python benchmarks/pool_size.py

Pools of 150 profiles and more; from where the set's own training samples end, those of other
studies come in, standardised gene by gene within their study. Nobody in the test part is among
them, and the labelled samples are always the same.
"""

import warnings
from pathlib import Path

import anndata
import frozen_splits
import numpy as np
import pandas as pd
import panel_data
import recipe
from frozen_splits import measure
from recipe_claims import cells
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from sslgex import ByolTransformer
from sslgex._linear_path import LinearPath

SETS = ("tcga_brca_pam50", "tcga_11paired")
OTHERS = ("tcga_luad", "tcga_coadread", "rnaseqdb_counts")
ROWS = (150, 300, 600, 1_200, 2_350)
LABELS = (20, 50)  # one per class where there are more classes
STEPS = (300, 100, 1_000)
# Rows of the pool and steps of pretraining; None is the default's rule, which was set after what
# the first of these had shown, and is compared with its alternatives on splits of its own.
CASES = [(n, STEPS[0]) for n in ROWS] + [(n, s) for n in ROWS[::2] for s in STEPS[1:]]
CONFIRM = [(ROWS[-1], s) for s in (None, 300, 1_000)]
CONFIRM_SEED = frozen_splits.SEED + 1
PAIRS = {
    "embedding − PCA (64), + LR": ("BYOL: embedding + LR", "PCA (64) + LR"),
    "propagated": ("linear pool + propagated", "linear pool"),
    "default − linear pool": ("BYOL: default", "linear pool"),
    "default − linear pool + propagated": ("BYOL: default", "linear pool + propagated"),
}


def patients(names) -> np.ndarray:
    """TCGA-A7-A0CE-01A-... is of patient TCGA-A7-A0CE."""
    return np.array(["-".join(name.replace(".", "-").split("-")[:3]) for name in names])


def others(folder: Path, genes: pd.Index) -> tuple[pd.Index, list[np.ndarray], np.ndarray]:
    """Return the genes that all have, the other studies' standardised values, and patients."""
    frames = []
    for name in OTHERS:
        found = anndata.read_h5ad(folder / f"{name}.h5ad").to_df()
        if name == "rnaseqdb_counts":
            found = np.log2(found.div(found.sum(axis=1), axis=0) * 1e6 + 1)
        genes = genes.intersection(found.columns, sort=False)
        frames.append(found)
    values = [scale(found[genes].to_numpy(np.float64)).astype(np.float32) for found in frames]
    return genes, values, np.concatenate([patients(found.index) for found in frames])


def one_split(folder: Path, name: str, split: int, n_draws: int) -> list[dict]:
    """Return the scores of every size of the pool in one split."""
    warnings.simplefilter("ignore")
    data = panel_data.load(name, folder)
    genes, more, who = others(folder, data.X.columns)
    confirms = split >= frozen_splits.N_SPLITS
    seed = CONFIRM_SEED if confirms else frozen_splits.SEED
    mine = frozen_splits.load(folder, name, split % frozen_splits.N_SPLITS, seed)
    columns = data.X.columns.get_indexer(genes)
    train, test = mine.train[:, columns], mine.test[:, columns]
    known = set(patients(data.X.index))  # of train and test
    new = np.flatnonzero([patient not in known for patient in who])
    rng = np.random.default_rng([seed, split])
    new = new[np.unique(who[new], return_index=True)[1]]
    external = np.concatenate(more)[rng.permutation(new)]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    own, tested = (
        ((X - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
        for X in (train, test)
    )
    # Every class is among the first, and so are the labelled.
    first, rest = train_test_split(
        np.arange(len(own)), train_size=ROWS[0], stratify=mine.y, random_state=split
    )
    lacking = np.setdiff1d(np.arange(mine.n_classes), mine.y[first])
    first = np.concatenate([first, [np.flatnonzero(mine.y == c)[0] for c in lacking]]).astype(int)
    order = np.concatenate([first, np.setdiff1d(rest, first)])
    everyone, codes = np.concatenate([own[order], external]), mine.y[order]
    records = []
    with threadpool_limits(1):
        for n_rows, steps in CONFIRM if confirms else CASES:
            pool = everyone[:n_rows]
            byol = ByolTransformer(random_state=split)
            if steps:
                byol.set_params(max_epochs=round(steps / np.ceil(len(pool) / byol.batch_size)))
            byol.fit(pool)
            both = np.concatenate([pool, tested])
            Z = byol.transform(both).astype(np.float64)
            seen = {"BYOL": LinearPath.of(byol, [], split).features(both, Z)}
            there = np.arange(len(pool), len(both))
            for size, j, labelled in frozen_splits.draws(
                codes[: len(first)], LABELS, split, n_draws, seed
            ):
                unlabelled = np.setdiff1d(np.arange(len(pool)), labelled)
                scores = recipe.cell(seen, labelled, unlabelled, there, codes[labelled])
                at = {"set": name, "size": title(n_rows, steps), "labels": size, "split": split}
                at |= {"draw": j, "own": min(len(pool), len(own))}
                records += [
                    at | {"entry": entry} | measure(s, mine.y_test) for entry, s in scores.items()
                ]
    return records


def title(n_rows: int, steps: int | None) -> str:
    """Return what a size of the pool and a number of steps are called."""
    return f"{n_rows:,}, " + ("default" if steps is None else f"{steps:,} steps")


def table(frame: pd.DataFrame, cases: list) -> str:
    """Return the differences by size of the pool, for 20 and 50 labels together."""
    lines = ["| data set, profiles in the pool | default | " + " | ".join(PAIRS) + " |"]
    lines.append("|---" * (2 + len(PAIRS)) + "|")
    ours = frame[frame["entry"] == "BYOL: default"].groupby(["set", "size"])
    frame = frame.assign(draw=frame["draw"] + 1000 * frame["labels"])
    both = ("accuracy", "balanced_accuracy")
    found = {(pair, m): cells(frame, *PAIRS[pair], m) for pair in PAIRS for m in both}
    for name in frame["set"].unique():
        for size in (title(*case) for case in cases):
            row = [f"{panel_data.NAMES[name][0]}, {size}"]
            row.append(" / ".join(f"{100 * ours[m].mean()[name, size]:.1f}" for m in both))
            for pair in PAIRS:
                parts = [found[pair, m].loc[(name, size)] for m in both]
                row.append(" / ".join(f"{p['mean']:+.1f} ± {p['se']:.1f}" for p in parts))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def draw(frame: pd.DataFrame) -> None:
    """Draw the gains in balanced accuracy over the size of the pool."""
    import matplotlib.pyplot as plt

    shown = {
        "propagated": "neighbours over the linear pool",
        "embedding − PCA (64), + LR": "embedding over as many components",
        "default − linear pool + propagated": "embedding beside all of that",
    }
    figure, axes = plt.subplots(1, len(SETS), figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, name in zip(axes, SETS, strict=True):
        for i, (pair, words) in enumerate(shown.items()):
            found = cells(frame, *PAIRS[pair], "balanced_accuracy").loc[name]
            found = found.loc[[title(n, STEPS[0]) for n in ROWS]]
            x = np.array(ROWS) * 1.03**i  # side by side
            axis.errorbar(x, found["mean"], found["se"], marker="o", ms=4, capsize=2, label=words)
        own = int(frame.loc[frame["set"] == name, "own"].max())
        axis.axvline(own, color="0.7", lw=1, ls=":")
        axis.annotate("other studies →", (own, 9.5), xytext=(3, 0), textcoords="offset points",
                      color="0.4", fontsize=8)  # fmt: skip
        axis.axhline(0, color="0.7", lw=1)
        axis.set(title=panel_data.NAMES[name][0], xscale="log", xticks=ROWS, xlabel="profiles")
        axis.set_xticklabels([f"{n:,}" for n in ROWS])
        axis.minorticks_off()
    axes[0].set_ylabel("balanced accuracy, points")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.93))
    folder = Path(__file__).resolve().parent.parent / "docs" / "figures"
    figure.savefig(folder / "pool_size.png", dpi=120)


def tables(frame: pd.DataFrame) -> dict[str, str]:
    """Return what docs/evidence.md shows, and draw its figure."""
    first = frame["split"] < frozen_splits.N_SPLITS
    draw(frame[first].assign(draw=frame["draw"] + 1000 * frame["labels"]))
    return {
        "pool_size": table(frame[first], CASES),
        "pool_steps": table(frame[~first], CONFIRM),
    }


if __name__ == "__main__":
    frozen_splits.visit(
        one_split, __doc__, tables, sets=SETS, n_splits=2 * frozen_splits.N_SPLITS, n_draws=4
    )
