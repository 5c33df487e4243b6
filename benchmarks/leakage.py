"""What four leaks do to accuracy on labels that mean nothing, and what the audit says of them.

    OMP_NUM_THREADS=1 python benchmarks/leakage.py

The profiles are real (load_tcga_brca: 120 tumours), the labels are drawn at random, two classes of
60: a procedure without a leak is right half of the time. Prints the table and the reports of
docs/leakage.rst, in a minute.
"""

import numpy as np
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex.datasets import load_tcga_brca
from sslgex.evaluation import audit_leakage

N, N_SITES, N_DRAWS = 120, 6, 20
CLF = RidgeClassifier(alpha=1000)


def profiles() -> tuple[np.ndarray, np.ndarray]:
    """Return tumours of the largest tissue source sites, twenty of each, and their sites."""
    brca = load_tcga_brca()
    sites = np.array([patient.split("-")[1] for patient in brca.patient_ids])
    names, counts = np.unique(sites, return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")[:N_SITES]]
    rows = np.concatenate([np.flatnonzero(sites == site)[: N // N_SITES] for site in largest])
    return brca.data[rows].astype(np.float64), sites[rows]


def replicated(X: np.ndarray, rng) -> np.ndarray:
    """Return every profile twice, with the noise of a second library: 0.3 in log2."""
    return np.repeat(X, 2, axis=0) + rng.normal(0, 0.3, (2 * len(X), X.shape[1]))


def combat_by_label(sites: np.ndarray):
    """Return a correction that moves each site's mean to that of all sites, label by label."""

    def combat(X, y):
        new = X.copy()
        for label in np.unique(y):
            mean = X[y == label].mean(axis=0)
            for site in np.unique(sites):
                rows = (y == label) & (sites == site)
                if rows.any():
                    new[rows] += mean - X[rows].mean(axis=0)
        return new

    return combat


def centred_by_site(sites: np.ndarray):
    """Return the correction without labels. It is computed on all rows, test rows included."""

    def centre(X, y):
        return combat_by_label(sites)(X, np.zeros(len(y)))

    return centre


def script_score(steps, X, y, cv) -> float:
    """Return the accuracy of a script: the callables on all rows, then cross-validation."""
    for _, f in steps[:-1]:
        X = f(X, y)
    return cross_val_score(steps[-1][1], X, y, cv=cv).mean()


def main() -> None:
    X, sites = profiles()
    rng = np.random.default_rng(0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    grouped = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    scripts = {
        "scaling": [("scale", StandardScaler().fit_transform), ("clf", CLF)],
        "genes": [("genes", SelectKBest(k=20).fit_transform), ("clf", CLF)],
        "combat": [("combat", combat_by_label(sites)), ("clf", CLF)],
        "combat without labels": [("combat", centred_by_site(sites)), ("clf", CLF)],
    }
    pipelines = {
        "scaling": make_pipeline(StandardScaler(), CLF),
        "genes": make_pipeline(SelectKBest(k=20), CLF),
        "combat": CLF,
        "combat without labels": CLF,
    }
    scores: dict = {name: [] for name in (*scripts, "patients")}
    for _ in range(N_DRAWS):
        y = rng.permutation(np.arange(N) % 2)
        for name, steps in scripts.items():
            clean = cross_val_score(pipelines[name], X, y, cv=folds).mean()
            scores[name].append((script_score(steps, X, y, folds), clean))
        twice, labels, patients = replicated(X, rng), np.repeat(y, 2), np.repeat(np.arange(N), 2)
        leaky = cross_val_score(CLF, twice, labels, cv=folds).mean()
        clean = cross_val_score(CLF, twice, labels, cv=grouped, groups=patients).mean()
        scores["patients"].append((leaky, clean))

    print(f"Accuracy on random labels, mean (standard error) of {N_DRAWS} draws: leaky, clean")
    for name, pairs in scores.items():
        mean, error = np.mean(pairs, axis=0), np.std(pairs, axis=0, ddof=1) / np.sqrt(N_DRAWS)
        print(f"{name:22} {mean[0]:.2f} ({error[0]:.2f})   {mean[1]:.2f} ({error[1]:.2f})")

    for name, steps in scripts.items():
        print(f"\n{name}\n{audit_leakage(steps, X, y, groups=np.arange(N), cv=folds)}")
    print(f"\npatients\n{audit_leakage(CLF, twice, labels, groups=patients, cv=folds)}")
    clean = audit_leakage(CLF, twice, labels, groups=patients, cv=grouped)
    print(f"\npatients, grouped\n{clean}")
    for name, pipeline in list(pipelines.items())[:2]:
        report = audit_leakage(pipeline, X, y, groups=np.arange(N), cv=folds)
        print(f"\n{name}, in a Pipeline\n{report}")


if __name__ == "__main__":
    main()
