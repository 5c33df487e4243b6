"""What does a correction of batches do, and where does it harm?

    python benchmarks/batches.py

RNAseqDB holds tissue of GTEx and of TCGA. Can a classifier still tell the study after the
correction, and what becomes of the tissue? The corrector is fitted on training samples inside of
cross-validation; and from one study to the other it knows the test study's samples, not its labels.
Writes docs/tables/batches.csv; a minute or two.
"""

from pathlib import Path

import numpy as np
import panel_data
from label_efficiency import machine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex.preprocessing import BatchCorrector

ROOT = Path(__file__).resolve().parents[1]


def classifier():
    return make_pipeline(
        StandardScaler(), PCA(40, random_state=0), LogisticRegression(max_iter=1000)
    )


def balanced_accuracy(X, y, batch, strata, correct: bool) -> float:
    """Return it by 5 folds, the corrector fitted on the training samples."""
    predicted = np.empty_like(y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, strata)
    for train, test in folds:
        here, there = X[train], X[test]
        if correct:
            corrector = BatchCorrector().fit(here, batch=batch[train])
            here = corrector.transform(here, batch=batch[train])
            there = corrector.transform(there, batch=batch[test])
        predicted[test] = classifier().fit(here, y[train]).predict(there)
    return balanced_accuracy_score(y, predicted)


def from_one_to_the_other(X, y, batch, correct: bool) -> float:
    """Return the balanced accuracy in TCGA of what was learned in GTEx."""
    if correct:
        X = BatchCorrector().fit_transform(X, batch=batch)
    train = batch == "GTEX"
    predicted = classifier().fit(X[train], y[train]).predict(X[~train])
    return balanced_accuracy_score(y[~train], predicted)


def equal_shares(tissue, batch, rng) -> np.ndarray:
    """Return rows with as many samples of a tissue in one study as in the other."""
    rows = []
    for name in np.unique(tissue):
        both = [np.flatnonzero((tissue == name) & (batch == b)) for b in np.unique(batch)]
        n = min(map(len, both))
        if n >= 10:
            rows += [rng.choice(part, n, replace=False) for part in both]
    return np.concatenate(rows)


def main() -> None:
    data = panel_data.load("rnaseqdb_counts", ROOT.parent / "shared" / "data")
    batch = np.array([name.split("-")[0] for name in data.X.index], dtype=object)
    X, y = data.X.to_numpy(), np.asarray(data.y, dtype=object)
    shared = [c for c in np.unique(y) if min((y[batch == b] == c).sum() for b in set(batch)) >= 5]
    unequal = np.flatnonzero(np.isin(y, shared))
    equal = unequal[equal_shares(y[unequal], batch[unequal], np.random.default_rng(0))]
    sets = {
        f"all {len(np.unique(y))} classes, most of one study": np.arange(len(y)),
        f"{len(shared)} tissues of both, unequal shares": unequal,
        f"{len(np.unique(y[equal]))} tissues of both, equal shares": equal,
    }
    lines = ['samples,study told,tissue told,"tissue told in TCGA, learned in GTEx"']
    for name, rows in sets.items():
        Xs, ys, bs = X[rows], y[rows], batch[rows]
        strata = np.array([f"{a} {b}" for a, b in zip(ys, bs, strict=True)])
        cells = [f'"{name} ({len(rows)})"']
        for target in (bs, ys):
            both = [balanced_accuracy(Xs, target, bs, strata, c) for c in (False, True)]
            cells.append(" → ".join(f"{100 * value:.0f}" for value in both))
        there = [from_one_to_the_other(Xs, ys, bs, c) for c in (False, True)]
        cells.append("" if len(rows) == len(y) else " → ".join(f"{100 * v:.0f}" for v in there))
        lines.append(",".join(cells))
        print(lines[-1], flush=True)
    (ROOT / "docs" / "tables" / "batches.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(machine())


if __name__ == "__main__":
    main()
