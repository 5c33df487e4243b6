"""Does the recipe pay, and which part of it? The claims of docs/evidence.md, on frozen splits.

    python benchmarks/recipe.py

On every data set five splits with 20 labelled subsets per size, drawn with seeds that nothing was
chosen on; every subset holds each class at least once. Of the package's default classifier and of
its parts, beside the fixed opponents, it writes scores and differences, with standard errors over
splits. What is done is kept in ``--cache``, so that it can be interrupted and repeated.

The classifiers are taken apart here, so that their common parts are fitted once; in one cell of
every split the whole, `SSLClassifier`, is fitted too and must predict the same.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import panel_data
import recipe_claims
from geneicl_adapter import GeneICLClassifier
from joblib import Memory, Parallel, delayed
from label_efficiency import machine
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._head import LinearHead
from sslgex._linear_path import LinearPath
from sslgex._pooled import PooledHead
from sslgex._training.seeds import Seeds
from sslgex._untrained import UntrainedTransformer
from sslgex.evaluation._metrics import Outcome, score

SEED = 20_261  # of splits and draws; the development splits had 101
N_SPLITS = 5
SIZES = ("one per class", 20, 50, 100)
N_PUBLISHED = 4  # draws on which the study's network is trained
METHODS = {"BYOL": ByolTransformer, "SCARF": ScarfTransformer, "VIME": VimeTransformer}
METRICS = ("accuracy", "balanced_accuracy", "neg_log_loss", "neg_calibration_error")


def splits(data: panel_data.DataSet, seed: int = SEED) -> list:
    """Return the frozen (train, test) splits; a patient is never divided."""
    kind = StratifiedKFold if data.groups is None else StratifiedGroupKFold
    folds = kind(N_SPLITS, shuffle=True, random_state=seed)
    return list(folds.split(data.X, data.y, data.groups))


def sizes(n_classes: int) -> list:
    """Return the numbers of labels; of many classes, one each is about 20."""
    return [size for size in SIZES if size != 20 or n_classes <= 10]


def draw(codes: np.ndarray, size, rng: np.random.Generator) -> np.ndarray:
    """Return labelled rows: one of each class, the others at random."""
    one = np.array([rng.choice(np.flatnonzero(codes == c)) for c in range(codes.max() + 1)])
    if size == "one per class" or size <= len(one):
        return one
    rest = np.setdiff1d(np.arange(len(codes)), one)
    return np.concatenate([one, rng.choice(rest, size - len(one), replace=False)])


def encoders(pool: np.ndarray, seed: int) -> dict:
    """Return the encoders of one split: pretrained, pretrained on permuted genes, untrained."""
    found = {name: method(random_state=seed).fit(pool) for name, method in METHODS.items()}
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(pool, axis=0)
    found["BYOL, genes permuted"] = ByolTransformer(random_state=seed).fit(permuted)
    random = UntrainedTransformer(embedding="all", random_state=seed)
    found["random network"] = random.fit(pool)
    return found


def cell(seen: dict, labelled, pool, test, y, y_test) -> dict:
    """Return the log probabilities of the test samples by every contender.

    ``seen`` holds, per encoder, what the linear experts see of all training and test samples.
    """
    first = seen["BYOL"]

    def rows(features, which):
        return type(features)(*(part[which] for part in features))

    def of_pool(features):
        return rows(features, pool)._replace(genes=features.genes[:0])

    head = PooledHead(random_state=Seeds(0).integer("split"))
    head.fit(rows(first, labelled), y, X_unlabeled=of_pool(first))
    linear = head.without("embedding", "propagated")
    found = {
        "PCA (k by CV) + LR": linear.without("genes"),
        "LR on genes": linear.without("components"),
        "linear pool": linear,
        "linear pool + propagated": head.without("embedding"),
    }
    scores = {name: h.log_odds(rows(first, test)) for name, h in found.items()}
    pca64 = LinearHead(random_state=head.seed).fit(first.components[labelled, :64], y)
    scores["PCA (64) + LR"] = pca64.log_odds(first.components[test, :64])
    for name, features in seen.items():
        whole = head.with_embedding(rows(features, labelled), y, X_unlabeled=of_pool(features))
        at_test = rows(features, test)
        scores[f"{name}: default"] = whole.log_odds(at_test)
        scores[f"{name}: no pool"] = whole.without("propagated").log_odds(at_test)
        alone = LinearHead(random_state=head.seed).fit(features.embedding[labelled], y)
        scores[f"{name}: embedding + LR"] = alone.log_odds(features.embedding[test])
    return {name: measure(s, y_test) for name, s in scores.items()}


def measure(scores: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Return the metrics of linear scores."""
    p = softmax(scores, axis=1)
    outcome = Outcome(p.argmax(axis=1), p[np.arange(len(y)), y], p.max(axis=1))
    return tuple(float(score(metric, y, outcome)[0]) for metric in METRICS)


def one_split(folder: Path, name: str, split: int, n_draws: int) -> list[dict]:
    """Return the scores of every size and draw of one split."""
    warnings.simplefilter("ignore")
    data = panel_data.load(name, folder)
    train, test = splits(data)[split]
    X = data.X.to_numpy()
    classes = np.unique(data.y[train])
    test = test[np.isin(data.y[test], classes)]
    codes, y_test = (np.searchsorted(classes, data.y[part]) for part in (train, test))
    pool = np.ascontiguousarray(X[train])
    both = np.concatenate([pool, X[test]])
    out = []
    with threadpool_limits(1):
        seen = {}
        path = None
        found = encoders(pool, split)
        byol = found["BYOL"]
        for kind, encoder in found.items():
            path = path or LinearPath.of(encoder, [pool], split)  # that of the clean pool, for all
            seen[kind] = path.features(both, encoder.transform(both).astype(np.float64))
        there = np.arange(len(train), len(both))
        for size in sizes(len(classes)):
            for j in range(n_draws):
                rng = np.random.default_rng([SEED, split, SIZES.index(size), j])
                labelled = draw(codes, size, rng)
                rest = np.setdiff1d(np.arange(len(train)), labelled)
                at = {"set": name, "size": str(size), "split": split, "draw": j}
                scores = cell(seen, labelled, rest, there, codes[labelled], y_test)
                if j == 0 and size == 50:
                    whole = SSLClassifier(byol, mode="frozen", random_state=0)
                    whole.fit(pool[labelled], codes[labelled], X_unlabeled=[pool[rest]])
                    p = whole.predict_proba(X[test])
                    np.testing.assert_allclose(
                        measure(np.log(p), y_test), scores["BYOL: default"], atol=1e-3
                    )
                if j < N_PUBLISHED and size == sizes(len(classes))[-3]:
                    clf = SSLClassifier.from_preset("dradjat2025", random_state=split)
                    scores["the study's network"] = of(clf, pool, codes, labelled, X[test], y_test)
                if name == "tcga_brca_pam50":
                    clf = GeneICLClassifier()
                    scores["GeneICL"] = of(clf, pool, codes, labelled, X[test], y_test)
                out += [
                    at | {"entry": entry} | dict(zip(METRICS, s, strict=True))
                    for entry, s in scores.items()
                ]
    return out


def of(clf, pool, codes, labelled, X_test, y_test) -> tuple[float, ...]:
    """Return the metrics of a classifier fitted on the labelled samples."""
    clf.fit(pool[labelled], codes[labelled])
    return measure(np.log(np.maximum(clf.predict_proba(X_test), 1e-30)), y_test)


def main() -> None:
    """Run everything and write the numbers."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(panel_data.NAMES))
    parser.add_argument("--cache", type=Path, default=root / ".cache" / "recipe")
    parser.add_argument("--n-draws", type=int, default=20, help="per split and size")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs" / "tables")
    args = parser.parse_args()
    run = Memory(args.cache, verbose=0).cache(one_split, ignore=["folder"])
    jobs = [(name, split) for name in args.sets for split in range(N_SPLITS)]
    parts = Parallel(args.n_jobs, verbose=10)(
        delayed(run)(args.data, name, split, args.n_draws) for name, split in jobs
    )
    frame = pd.DataFrame([row for part in parts for row in part])
    frame.to_csv(args.cache / "cells.csv", index=False)
    titles = {name: panel_data.NAMES[name][0] for name in args.sets}
    tables = {
        "claims": recipe_claims.claims_table(frame),
        "means": recipe_claims.means_table(frame),
        "sets": recipe_claims.sets_table(frame, titles),
    }
    for name, table in tables.items():
        (args.out / f"recipe_{name}.md").write_text(f"{table}\n")
        print(f"\n{table}")
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
