"""Does fine-tuning pay over the frozen encoder? On the frozen splits of ``recipe.py``.

    python benchmarks/unfrozen.py

One pretrained BYOL encoder per split, and three classifiers on it: the default head frozen, the
same unfrozen, and fine-tuning as published.
"""

import warnings
from pathlib import Path

import frozen_splits
import numpy as np
import pandas as pd
from frozen_splits import log_probabilities, measure
from recipe_claims import by_size, cells
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
    data = frozen_splits.load(folder, name, split)
    records = []
    with threadpool_limits(1):
        byol = ByolTransformer(random_state=split).fit(data.train)
        for size, j, labelled in frozen_splits.draws(data.y, SIZES, split, n_draws):
            X, y, rest = data.train[labelled], data.y[labelled], np.delete(data.train, labelled, 0)
            for mode, make in MODES.items():
                clf = make(byol, j)
                more = {} if clf.head == "sgd" else {"X_unlabeled": rest}
                clf.fit(X, y, **more)
                at = {"set": name, "size": str(size), "split": split, "draw": j, "entry": mode}
                found = measure(log_probabilities(clf, data.test), data.y_test)
                records.append(at | {"epochs": clf.n_iter_} | found)
    return records


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
        sign, digits = np.sign(unit), 2 if unit == -1 else 1
        row.append(
            " / ".join(
                f"{sign * at['mean']:+.{digits}f} ± {at['se']:.{digits}f}"
                for _, at in by_size(found).loc[sizes].iterrows()
            )
        )
    lines.append("| unfrozen − frozen | " + " | ".join(row) + " | |")
    return "\n".join(lines)


if __name__ == "__main__":
    frozen_splits.visit(one_split, __doc__, lambda frame: {"unfrozen": table(frame)}, n_draws=2)
