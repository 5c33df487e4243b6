"""How often is the verdict of `compare` right? Simulated data sets whose truth is known.

    python benchmarks/verdict_calibration.py

Every data set is a fresh sample of one population. Two encoders are "pretrained" on its training
samples and compared as a user would compare them. In the scenario "no gain" both are random
projections, drawn anew for every split: neither is better, whatever a single data set suggests. In
"gain" one of them also gets a noisy view of the class, made to be worth about 5 points of accuracy.
With one split nothing is pretrained: both entries use one fixed projection, each of its own
measurement of the same genes. The truth is the mean over all data sets. Writes
docs/tables/verdict_calibration.csv.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from sslgex import SSLClassifier
from sslgex.evaluation import compare, label_efficiency_curve

SIZES = (20, 50, 100)
METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss")
PRIOR = np.array([0.4, 0.3, 0.2, 0.1])
N_GENES, N_FACTORS, N_COMPONENTS = 80, 10, 24


class Design(NamedTuple):
    """How many samples, so many to a patient; splits, and draws and test samples in each."""

    n_samples: int
    per_patient: int
    n_splits: int
    n_draws: int
    n_tested: int


DESIGNS = {
    "5 folds of 400, 20 draws": Design(400, 1, 5, 4, 80),
    "1 split of 600, 200 tested, 20 draws": Design(600, 1, 1, 20, 200),
    "1 split of 1,200, 1,000 tested, 20 draws": Design(1200, 1, 1, 20, 1000),
    "5 folds of 100 patients x 4, 20 draws": Design(400, 4, 5, 4, 80),
}
STRENGTH = {"no gain": 0.0, "gain": 0.385}


class Population:
    """Four classes in ten factors behind 80 genes, the same for every data set."""

    def __init__(self):
        rng = np.random.default_rng(12345)
        self.centres = 0.75 * rng.normal(size=(len(PRIOR), N_FACTORS))
        self.loadings = rng.normal(size=(N_FACTORS, N_GENES)) / np.sqrt(N_FACTORS)

    def sample(self, n: int, per_patient: int, rng: np.random.Generator):
        """Return two measurements of the same profiles side by side, labels and patients."""
        n_patients = n // per_patient
        labels = rng.choice(len(PRIOR), n_patients, p=PRIOR).repeat(per_patient)
        own = rng.normal(size=(n_patients, N_FACTORS)).repeat(per_patient, axis=0)
        share = 0.0 if per_patient == 1 else 0.7  # of the variance, common to a patient's samples
        factors = self.centres[labels] + np.sqrt(share) * own
        factors += np.sqrt(1 - share) * rng.normal(size=factors.shape)
        X = np.tile(factors @ self.loadings, 2) + rng.normal(size=(n, 2 * N_GENES))
        groups = None if per_patient == 1 else np.arange(n) // per_patient
        return X, labels, groups


class Projection(TransformerMixin, BaseEstimator):
    """A random projection, and beside it, if `strength` is not 0, the direction to the classes.

    Drawn anew in every fit, of the first measurement; or `fixed`, of the measurement `which`.
    """

    def __init__(self, which=0, strength=0.0, fixed=False, random_state=None):
        self.which = which
        self.strength = strength
        self.fixed = fixed
        self.random_state = random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(0 if self.fixed else [self.random_state, self.which])
        self.weights_ = rng.normal(size=(N_GENES, N_COMPONENTS)) / np.sqrt(N_GENES)
        if self.strength:
            centres = POPULATION.centres @ POPULATION.loadings
            more = (centres - centres.mean(axis=0)).T / np.sqrt(N_GENES)
            self.weights_ = np.hstack([self.weights_, self.strength * more])
        return self

    def transform(self, X):
        first = self.which * N_GENES if self.fixed else 0
        return X[:, first : first + N_GENES] @ self.weights_


POPULATION = Population()


def one(scenario: str, design: str, i: int, level: float) -> dict:
    """Simulate one data set and compare the two encoders on it."""
    n, per_patient, n_splits, n_draws, n_tested = DESIGNS[design]
    # Not the seeds on which the variance was worked out.
    seed = [2, list(STRENGTH).index(scenario), list(DESIGNS).index(design), i]
    X, y, groups = POPULATION.sample(n, per_patient, np.random.default_rng(seed))
    fixed = n_splits == 1
    encoders = {"a": Projection(0, STRENGTH[scenario], fixed), "b": Projection(1, 0.0, fixed)}
    head = LogisticRegression(C=1.0, max_iter=1000)
    entries = {
        # Of one split's encoder there is no telling the next, so there nothing is pretrained.
        name: make_pipeline(encoder, head)
        if fixed
        else SSLClassifier(encoder, mode="frozen", head=head)
        for name, encoder in encoders.items()
    }
    one_split = StratifiedShuffleSplit(1, test_size=n_tested, random_state=1_000_000 + i)
    results = label_efficiency_curve(
        entries,
        X,
        y,
        groups=groups,
        label_sizes=SIZES,
        n_draws=n_draws,
        cv=n_splits if n_splits > 1 else one_split,
        random_state=1_000_000 + i,
    )
    found = {}
    for metric in METRICS:
        c = compare(results, "a", "b", metric=metric, level=level)
        found[metric] = {
            "a": results.scores(metric)["a"].mean(axis=(0, 2)),
            "b": results.scores(metric)["b"].mean(axis=(0, 2)),
            "difference": c.difference,
            "interval": c.interval,
            "simultaneous": c.simultaneous_interval,
            "gain": c.gain,
            "gain_interval": c.gain_interval,
            "saved_interval": c.labels_saved_interval,
            "verdict": c.verdict,
        }
    return found


def covers(truth, interval) -> np.ndarray:
    low, high = np.moveaxis(np.asarray(interval), -1, 0)
    return (low <= truth) & (truth <= high)


def summarise(scenario: str, design: str, metric: str, found: list[dict]) -> dict:
    """Return one row of the table."""
    column = {key: [f[metric][key] for f in found] for key in found[0][metric]}
    none = scenario == "no gain"
    difference = np.zeros(len(SIZES)) if none else np.mean(column["difference"], axis=0)
    gain = 0.0 if none else np.mean(column["gain"])
    a, b = (np.mean(column[name], axis=0) for name in "ab")
    saved = 0.0 if none else 1 - np.interp(b[-1], a, SIZES) / SIZES[-1]
    verdicts = np.array(column["verdict"])
    helps = int((verdicts == "helps").sum())
    bound = stats.binomtest(helps, len(found)).proportion_ci(method="exact")
    return {
        "scenario": scenario,
        "design": design,
        "metric": metric,
        "data sets": len(found),
        "mean gain": f"{gain:.3f}",
        "helps": f"{100 * helps / len(found):.1f} % ({100 * bound.low:.1f}-{100 * bound.high:.1f})",
        "hurts": f"{100 * np.mean(verdicts == 'hurts'):.1f} %",
        "covered: size": f"{100 * covers(difference, column['interval']).mean():.1f} %",
        "all sizes": f"{100 * covers(difference, column['simultaneous']).all(axis=1).mean():.1f} %",
        "gain": f"{100 * covers(gain, column['gain_interval']).mean():.1f} %",
        "labels saved": f"{100 * covers(saved, column['saved_interval']).mean():.1f} %",
        "half width": f"{np.mean(np.diff(column['gain_interval'], axis=1)) / 2:.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--n", type=int, default=200, help="data sets per scenario and design")
    parser.add_argument("--scenarios", nargs="+", default=list(STRENGTH), choices=STRENGTH)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=root / "docs" / "tables")
    args = parser.parse_args()
    table = args.out / "verdict_calibration.csv"
    rows = []
    if table.exists():  # of scenarios that are not run again
        with open(table, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["scenario"] not in args.scenarios]
    for scenario in args.scenarios:
        for design in DESIGNS:
            found = Parallel(n_jobs=args.n_jobs)(
                delayed(one)(scenario, design, i, 0.95) for i in range(args.n)
            )
            rows += [summarise(scenario, design, metric, found) for metric in METRICS]
            for row in rows[-len(METRICS) :]:
                print("  ".join(map(str, row.values())), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
