"""
From a table of counts to a prediction
======================================

A table of raw counts as it lies on a disk, genes in rows; patients with several samples; and one
new sample from elsewhere, over other genes in another order. Every step learns on training samples
only, and an audit says whether that is true.

The counts are those of RNAseqDB, tissue of GTEx and TCGA processed alike [1]_, cut to six classes
and 3,000 genes. They cannot be part of this package: ``SSLGEX_COUNTS`` in the environment names an
h5ad file of them, with ``obs["label"]``; the picture shows those. Without it the script simulates
counts and says so. Takes one to two minutes on two CPU cores; ``SSLGEX_SCALE=small`` trains
shorter.

.. [1] Wang et al. (2018). Unifying cancer and normal RNA sequencing data from different sources.
   Scientific Data 5, 180061.

.. image:: /figures/plot_03_from_counts_to_prediction.png
   :alt: Training samples in the plane of the embedding, and where the new one falls.
"""

# %%
# What people are given
# ---------------------
# This cell makes the two files of the story: a compressed table, genes x samples, and one sample
# whose genes come in another order; one in twenty is missing, and one is there that nobody knows.
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sslgex.datasets import load_tcga_brca, make_expression

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
here = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
source = Path(
    os.environ.get("SSLGEX_COUNTS", here.parents[1] / "shared" / "data" / "rnaseqdb_counts.h5ad")
)
CLASSES = ["kidney", "liver", "lung", "tumor:KICH", "tumor:READ", "uterus"]
rng = np.random.default_rng(0)
if source.exists():
    import anndata

    adata = anndata.read_h5ad(source)
    adata = adata[adata.obs["label"].isin(CLASSES).to_numpy()]
    expressed = np.flatnonzero((adata.X > 10).mean(axis=0) > 0.2)
    counts = adata[:, np.sort(rng.choice(expressed, 3_000, replace=False))].to_df()
    labels = adata.obs["label"].astype(str)
else:
    print(f"There is no {source}: the counts are simulated.\n")
    simulated = make_expression(400, 3_000, n_classes=6, class_sep=4, random_state=0)
    ids = [f"TCGA-XX-{i // 2:04d}-{(1, 11)[i % 2]:02d}A" for i in range(400)]
    counts = pd.DataFrame(simulated.counts, ids, load_tcga_brca().feature_names)
    labels = pd.Series(np.array(CLASSES)[simulated.target], ids)

folder = Path(tempfile.mkdtemp())
new, known = counts.iloc[[0]], counts.iloc[1:]
known.T.to_csv(folder / "counts.tsv.gz", sep="\t", index_label="gene")
kept = rng.permutation(counts.columns)[: -counts.shape[1] // 20]
new[kept].assign(NOVEL1=7.0).T.to_csv(folder / "new_sample.tsv", sep="\t", index_label="gene")

# %%
# Reading
# -------
# ``read_expression`` says what it takes the table for, and why. Each conclusion can be overridden,
# and where the evidence is weak there is an error instead of a guess.
from sslgex.datasets import read_expression

adata = read_expression(folder / "counts.tsv.gz")
X = adata.to_df()
y = labels[X.index].to_numpy()
print()

# %%
# Patients: several samples of one of them must not be divided between training and test samples.
# ``GTEX-SNMC-0826-...`` is of donor ``GTEX-SNMC``, ``TCGA-A7-A0CE-01A-...`` of ``TCGA-A7-A0CE``.
parts = X.index.str.split("-")
patients = np.array(["-".join(p[: 2 if p[0] == "GTEX" else 3]) for p in parts])
print(f"{len(X)} samples of {len(set(patients))} patients, {len(set(y))} classes\n")

# %%
# One estimator from counts to probabilities
# ------------------------------------------
# The first step remembers the genes and their means, and later brings any table to them. Logs are
# taken sample by sample, of all genes: only then are the most variable ones chosen. The encoder is
# pretrained on the training samples of whatever split it is fitted in.
from sklearn.pipeline import Pipeline

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.preprocessing import GeneAligner, GeneFilter, LogCounts

scarf = ScarfTransformer(max_epochs=5 if small else "auto", random_state=0)
pipeline = Pipeline(
    [
        ("align", GeneAligner(duplicates="sum")),
        ("log", LogCounts()),
        ("filter", GeneFilter(min_samples=0.1, n_top_genes=1_500)),
        ("classify", SSLClassifier(scarf, mode="frozen", random_state=0)),
    ]
)

# %%
# How well it does, patients kept together, beside the linear model that it has to beat: tuned
# logistic regression on the same genes. Organs are easy to tell apart; this is no contest.
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from sslgex.evaluation import default_baselines

logistic = default_baselines(random_state=0)["logistic regression"]
linear = clone(pipeline).set_params(classify=logistic)
cv = StratifiedGroupKFold(3, shuffle=True, random_state=0)
for name, model in {"SCARF, default head": pipeline, "logistic regression": linear}.items():
    scores = cross_val_score(model, X, y, groups=patients, cv=cv, scoring="balanced_accuracy")
    print(f"{name}: balanced accuracy {np.round(scores, 3)}, mean {scores.mean():.3f}")
print()

# %%
# Does anything leak?
# -------------------
# The audit perturbs test samples and permutes labels, and looks at what leaves every step. Then the
# same data as scripts often treat them: scaled on all samples before the split, folds that divide
# patients. Both are named.
from sklearn.linear_model import RidgeClassifier

from sslgex.evaluation import audit_leakage

report = audit_leakage(pipeline, X, y, patients, cv=cv, n_permutations=0)
print(report, "\n")


def scale_all(X, y):
    """Scale with the statistics of all samples, as a line before the cross-validation does."""
    logs = np.log2(X + 1)
    return (logs - logs.mean()) / (logs.std() + 1e-9)


script = [("scale all", scale_all), ("classify", RidgeClassifier())]
print(audit_leakage(script, X, y, patients, n_permutations=0), "\n")

# %%
# One new sample
# --------------
# Other genes, another order: the first step puts that right, and says what it had to fill in.
pipeline.fit(X, y)
sample = read_expression(folder / "new_sample.tsv", verbose=0).to_df()
print(pipeline["align"].report(sample), "\n")
probabilities = pd.Series(pipeline.predict_proba(sample)[0], pipeline.classes_)
print(probabilities.round(3).to_string())
print(f"It is {labels.iloc[0]}.")

# %%
# What the encoder makes of the training samples, and where the new one falls.
import matplotlib.pyplot as plt
from sklearn.decomposition import PCA

embed = pipeline[:-1].transform
encoder = pipeline["classify"].encoder_
plane = PCA(2).fit(encoder.transform(embed(X)))
figure, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
for name in CLASSES:
    ax.scatter(*plane.transform(encoder.transform(embed(X[y == name]))).T, s=12, label=name)
ax.scatter(
    *plane.transform(encoder.transform(embed(sample))).T, s=160, marker="*", color="k", label="new"
)
ax.set(xlabel="first component of the embedding", ylabel="second component")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize=8)
figure.savefig("plot_03_from_counts_to_prediction.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_03_from_counts_to_prediction.png"
print("\nThe picture is in plot_03_from_counts_to_prediction.png")

from importlib.metadata import version

packages = ", ".join(f"{name} {version(name)}" for name in ("sslgex", "scikit-learn", "torch"))
print(
    f"{packages}, Python {platform.python_version()}, {platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s"
)
