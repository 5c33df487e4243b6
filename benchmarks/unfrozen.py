"""Does fine-tuning pay over the frozen encoder? On the frozen splits of ``recipe.py``.

    python benchmarks/unfrozen.py

One pretrained BYOL encoder per split, and three classifiers on it: the default head frozen, the
same unfrozen, and fine-tuning as published.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import panel_data
import recipe
from joblib import Memory, Parallel, delayed
from label_efficiency import machine
from recipe_claims import cells
from threadpoolctl import threadpool_limits

from sslgex import ByolTransformer, SSLClassifier

SIZES = ("one per class", 50, 100)
MODES = {
    "frozen": lambda encoder, seed: SSLClassifier(encoder, mode="frozen", random_state=seed),
    "unfrozen": lambda encoder, seed: SSLClassifier(encoder, random_state=seed),
    "unfrozen as published": lambda encoder, seed: SSLClassifier.from_preset(
        "dradjat2025", encoder=encoder, random_state=seed
    ),
}


def one_split(folder: Path, name: str, split: int, n_draws: int) -> list[dict]:
    """Return the scores of the three in one split."""
    warnings.simplefilter("ignore")
    data = panel_data.load(name, folder)
    train, test = recipe.splits(data)[split]
    X = data.X.to_numpy()
    classes = np.unique(data.y[train])
    test = test[np.isin(data.y[test], classes)]
    codes, y_test = (np.searchsorted(classes, data.y[part]) for part in (train, test))
    pool, out = np.ascontiguousarray(X[train]), []
    with threadpool_limits(1):
        byol = ByolTransformer(random_state=split).fit(pool)
        for size in SIZES:
            for j in range(n_draws):
                rng = np.random.default_rng([recipe.SEED, split, recipe.SIZES.index(size), j])
                labelled = recipe.draw(codes, size, rng)
                rest = [np.delete(pool, labelled, axis=0)]
                for mode, make in MODES.items():
                    clf = make(byol, j)
                    more = {} if clf.head == "sgd" else {"X_unlabeled": rest}
                    clf.fit(pool[labelled], codes[labelled], **more)
                    with np.errstate(divide="ignore"):
                        scores = np.maximum(np.log(clf.predict_proba(X[test])), -30)
                    found = zip(recipe.METRICS, recipe.measure(scores, y_test), strict=True)
                    at = {"set": name, "size": str(size), "split": split, "draw": j}
                    out.append(at | {"entry": mode, "epochs": clf.n_iter_} | dict(found))
    return out


def table(frame: pd.DataFrame) -> str:
    """Return the means of the three, and what unfreezing adds."""
    lines = ["| | accuracy | balanced accuracy | log loss | calibration error | epochs |"]
    lines.append("|---" * 6 + "|")
    units = {"accuracy": 100, "balanced_accuracy": 100, "neg_log_loss": -1,
             "neg_calibration_error": -100}  # fmt: skip
    sizes = [str(size) for size in SIZES]
    for mode in MODES:
        mine = frame[frame["entry"] == mode].groupby(["set", "size"]).mean(numeric_only=True)
        by = mine.groupby("size").mean()
        row = [
            " / ".join(f"{unit * by.loc[s, metric]:.{2 if unit == -1 else 1}f}" for s in sizes)
            for metric, unit in units.items()
        ]
        row.append(" / ".join(f"{by.loc[s, 'epochs']:.0f}" for s in sizes))
        lines.append(f"| {mode} | " + " | ".join(row) + " |")
    row = []
    for metric, unit in units.items():
        found = cells(frame, "unfrozen", "frozen", metric) * abs(unit) / 100
        by = found["mean"].groupby("size").mean()
        error = found["se"].groupby("size").agg(lambda se: np.sqrt((se**2).sum()) / len(se))
        sign, digits = np.sign(unit), 2 if unit == -1 else 1
        row.append(" / ".join(f"{sign * by[s]:+.{digits}f} ± {error[s]:.{digits}f}" for s in sizes))
    lines.append("| unfrozen − frozen | " + " | ".join(row) + " | |")
    return "\n".join(lines)


def main() -> None:
    """Run everything and write the table."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(panel_data.NAMES))
    parser.add_argument("--cache", type=Path, default=root / ".cache" / "unfrozen")
    parser.add_argument("--n-draws", type=int, default=2, help="per split and size")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs" / "tables")
    args = parser.parse_args()
    run = Memory(args.cache, verbose=0).cache(one_split, ignore=["folder"])
    parts = Parallel(args.n_jobs, verbose=10)(
        delayed(run)(args.data, name, split, args.n_draws)
        for name in args.sets
        for split in range(recipe.N_SPLITS)
    )
    frame = pd.DataFrame([row for part in parts for row in part])
    (args.out / "unfrozen.md").write_text(f"{table(frame)}\n")
    print(f"\n{table(frame)}\n\n{machine()}")


if __name__ == "__main__":
    main()
