"""
Cross-validation and grid search done right
===========================================

What learns from a sample must not be judged on it. With pretraining there is more that learns: the
encoder, its means and scales, the choice of genes. This example cross-validates a pipeline that
pretrains in every fold, tunes it in a nested search, and then makes the classical mistake on
purpose, on labels that mean nothing: what it is worth can be read off, because the truth is known
to be chance.

Data: 769 breast tumours of The Cancer Genome Atlas and their PAM50 subtype. Takes about a minute
on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a rehearsal.

.. image:: /figures/plot_06_cross_validation.png
   :alt: Accuracies on labels that mean nothing: around chance, and far above it.
"""

# %%
# Everything that learns goes into the pipeline
# ---------------------------------------------
# 200 labelled tumours. In every fold the encoder is pretrained on the training samples alone, and
# the classifier gets their labels. Test samples are seen by ``predict`` only.
import os
import platform
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import Pipeline

from sslgex import ScarfTransformer
from sslgex.datasets import load_tcga_brca

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
X, _, y, _ = train_test_split(
    brca.data, brca.target, train_size=200, stratify=brca.target, random_state=0
)
folds = StratifiedKFold(3, shuffle=True, random_state=0)
pretrainer = ScarfTransformer(max_epochs=5 if small else 75, random_state=0)
pipeline = Pipeline([("ssl", pretrainer), ("clf", LogisticRegression(C=0.01, max_iter=2_000))])
scores = cross_val_score(pipeline, X, y, cv=folds, scoring="balanced_accuracy")
print(f"pretrained in every fold: {scores.mean():.3f}, folds {scores.round(3)}")

# %%
# A search inside, the judgement outside
# --------------------------------------
# The search chooses the corruption rate and the penalty by folds *within* the training samples of
# the outer fold. Its own best score is not what is reported: it was chosen for being the largest,
# so it flatters on average, if not every time. With ``memory`` an encoder is pretrained once for
# every corruption rate and inner fold, not once more for each penalty.
rates = [0.3, 0.6] if small else [0.2, 0.4, 0.6]
penalties = [0.001, 0.01, 0.1]
with tempfile.TemporaryDirectory() as cache:
    search = GridSearchCV(
        pipeline.set_params(memory=cache),
        {"ssl__corruption_rate": rates, "clf__C": penalties},
        cv=StratifiedKFold(3, shuffle=True, random_state=1),
        scoring="balanced_accuracy",
    )
    nested = cross_val_score(search, X, y, cv=folds, scoring="balanced_accuracy", n_jobs=2)
    search.fit(X, y)
print(f"nested search: {nested.mean():.3f}, folds {nested.round(3)}")
print(f"the search's own best score, the largest of its candidates: {search.best_score_:.3f}")
print(f"its choice: {search.best_params_}")

# %%
# The classical mistake
# ---------------------
# Forty tumours, 3,000 genes, and labels drawn by lot: nothing can be learned, the truth is 0.5.
# Once genes are chosen in the pipeline, on the training samples, as it should be; once on all
# samples, and the cross-validation comes after, as many a script does it.
from sklearn.feature_selection import SelectKBest

linear = LogisticRegression(max_iter=2_000)
n_lots = 10 if small else 60
ways = {"genes chosen in the pipeline": [], "genes chosen on all samples": []}
for seed in range(n_lots):
    rng = np.random.default_rng(seed)
    tumours = brca.data[rng.choice(len(brca.data), 40, replace=False)]
    lot = rng.permutation(np.repeat([0, 1], 20))
    cv = StratifiedKFold(5, shuffle=True, random_state=seed)
    inside = Pipeline([("genes", SelectKBest(k=50)), ("clf", linear)])
    outside = SelectKBest(k=50).fit_transform(tumours, lot)
    right, wrong = ways.values()
    right.append(cross_val_score(inside, tumours, lot, cv=cv).mean())
    wrong.append(cross_val_score(linear, outside, lot, cv=cv).mean())
for name, each in ways.items():
    error = np.std(each, ddof=1) / n_lots**0.5
    print(f"{name}: {np.mean(each):.3f} ± {error:.3f} (the truth: 0.5)")

# %%
# What it looks like: one point per lot. In the pipeline the mean may come out a little below one
# half: it is the same forty tumours that are divided, and what is large by chance among those to
# train on is the less so among the others.
figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
for place, each in enumerate(ways.values()):
    jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(each))
    ax.scatter(each, place + jitter, s=18, alpha=0.6)
    ax.plot([np.mean(each)] * 2, [place - 0.3, place + 0.3], color="k", linewidth=2)
ax.axvline(0.5, color="grey", linestyle="--", linewidth=1)
ax.annotate("chance", (0.5, 1.45), textcoords="offset points", xytext=(4, 0), color="grey")
ax.set(
    xlabel="accuracy by cross-validation, labels drawn by lot",
    xlim=(0, 1.02),
    yticks=range(len(ways)),
    yticklabels=ways,
    ylim=(-0.5, 1.6),
)
ax.spines[["top", "right"]].set_visible(False)
figure.savefig("plot_06_cross_validation.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_06_cross_validation.png"

# %%
# ``sslgex.evaluation.audit_leakage`` finds such steps in a pipeline or a script before they cost
# anything; where there are several samples of a patient, ``StratifiedGroupKFold`` with ``groups``
# keeps them together. An encoder pretrained on the test samples, without their labels, leaks no
# label, but its score is one for samples that were at hand, not for new ones.
print(
    f"\nThe picture is in plot_06_cross_validation.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
