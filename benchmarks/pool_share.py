"""How much of the variance of a score does a single pool of training samples hide?

    python benchmarks/pool_share.py

Labelled subsets of n are drawn from many pools of N = 150 samples, ten from each, two classifiers
are fitted on each and tested on the same samples. Of the variance of the accuracy for new labels,
the part between the pools cannot be seen within one. `compare` takes it for (n/N + (n/N)^2) / 2,
between a score that is linear in its labelled samples and one that is quadratic. On the simulated
population of verdict_calibration.py and on RNAseqDB, whose pools overlap, as they are drawn from M
samples: there the variance between pools is divided by 1 - N/M, which is right for linear scores
and too much for others. Writes docs/tables/pool_share.csv.
"""

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
import panel_data
from joblib import Parallel, delayed
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from verdict_calibration import POPULATION, Projection

POOL, SIZES, N_DRAWS = 150, (20, 50, 75), 10


def simulated(n_pools: int):
    """Yield the share of the population that a pool is, then two views of the test samples with
    their labels, then those of each pool.
    """
    yield 0.0
    views = [Projection(i, strength, random_state=0) for i, strength in enumerate((0.385, 0.0))]
    for i in range(1 + n_pools):
        rng = np.random.default_rng([99, i])
        X, y, _ = POPULATION.sample(POOL if i else 4000, 1, rng)
        yield [view.fit(X).transform(X) for view in views], y


def real(folder: Path, n_pools: int):
    """Yield the same of RNAseqDB: principal components and random projections."""
    data = panel_data.load("rnaseqdb_counts", folder)
    X, y = StandardScaler().fit_transform(data.X.to_numpy()), data.y.astype(str)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(X.shape[1], 64)).astype(np.float32) / np.sqrt(X.shape[1])
    views = [PCA(32, whiten=True, random_state=0).fit_transform(X), X @ directions]
    order = rng.permutation(len(y))
    test, rest = np.split(order, [len(order) // 4])
    yield POOL / len(rest)
    yield [view[test] for view in views], y[test]
    for _ in range(n_pools):
        pool = rng.choice(rest, POOL, replace=False)
        yield [view[pool] for view in views], y[pool]


def accuracies(test, pool, seed: int) -> np.ndarray:
    """Return the accuracy of both views for every size and draw of a pool."""
    (test_views, y_test), (views, y) = test, pool
    rng = np.random.default_rng(seed)
    found = np.zeros((2, len(SIZES), N_DRAWS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few steps and rare classes will do here
        for k, n in enumerate(SIZES):
            for draw in range(N_DRAWS):
                labelled = rng.choice(len(y), n, replace=False)
                for view, (Z, Z_test) in enumerate(zip(views, test_views, strict=True)):
                    model = LogisticRegression(max_iter=200).fit(Z[labelled], y[labelled])
                    found[view, k, draw] = model.score(Z_test, y_test)
    return found


def rows(title: str, found: np.ndarray, share: float) -> list[dict]:
    """Return the table's rows for accuracies of shape (pools, views, sizes, draws)."""
    table = []
    scores = {"difference": found[:, 0] - found[:, 1], "one entry": found[:, 0]}
    for what, score in scores.items():
        for k, n in enumerate(SIZES):
            within = score[:, k].var(axis=1, ddof=1).mean()
            means = score[:, k].mean(axis=1).var(ddof=1)
            hidden = (means - within / N_DRAWS) / (1 - share)
            error = means * np.sqrt(2 / (len(score) - 1)) / (1 - share)
            total, f = hidden + within, n / POOL
            table.append(
                {
                    "data": title,
                    "score": what,
                    "labels": n,
                    "hidden (± s.e.)": f"{hidden / total:.2f} ± {error / total:.2f}",
                    "if linear": f"{f:.2f}",
                    "if quadratic": f"{f**2:.2f}",
                    "taken": f"{f * (1 + f) / 2:.2f}",
                }
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--n", type=int, default=150, help="pools")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs" / "tables")
    args = parser.parse_args()
    sources = {"simulated": simulated(args.n), "RNAseqDB": real(args.data, args.n)}
    table = []
    for title, source in sources.items():
        share, test, *pools = source
        jobs = (delayed(accuracies)(test, pool, i) for i, pool in enumerate(pools))
        table += rows(title, np.stack(Parallel(args.n_jobs)(jobs)), share)
        for row in table[-2 * len(SIZES) :]:
            print("  ".join(map(str, row.values())), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "pool_share.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
