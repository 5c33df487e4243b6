"""
Which genes drive a prediction?
===============================

By permutation: what does a classifier lose if a gene's values are dealt out anew among the test
samples? And why the answer must be read with caution: genes go together, so that one alone can
often be spared, and the list changes with the samples that happened to be labelled.

Data: 769 breast tumours of The Cancer Genome Atlas and their PAM50 subtype. Takes about a minute
on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a rehearsal.

.. image:: /figures/plot_08_which_genes.png
   :alt: The rise of the log loss by group of genes, and by gene.
"""

# %%
# A classifier, and tumours that it has not seen
# ----------------------------------------------
import os
import platform
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import load_tcga_brca

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
genes = np.array(brca.feature_names)
X_train, X_test, y_train, y_test = train_test_split(
    brca.data, brca.target, stratify=brca.target, random_state=0
)
scarf = ScarfTransformer(max_epochs=5 if small else "auto", random_state=0).fit(X_train)


def fitted(seed: int) -> SSLClassifier:
    """Return a classifier of 200 labelled tumours, drawn anew for every seed."""
    X_few, X_rest, y_few, _ = train_test_split(
        X_train, y_train, train_size=200, stratify=y_train, random_state=seed
    )
    clf = SSLClassifier(scarf, mode="frozen", random_state=0)
    return clf.fit(X_few, y_few, X_unlabeled=X_rest)


clf = fitted(0)
print(f"accuracy {clf.score(X_test, y_test):.3f} on {len(y_test)} tumours\n")

# %%
# Groups of genes that go together
# --------------------------------
# Genes are clustered by their correlation in the training samples (Ward's method on standardised
# genes), so that what is permuted together is what carries the same news.
from sklearn.cluster import AgglomerativeClustering
from sklearn.preprocessing import StandardScaler

n_groups = 60
module = AgglomerativeClustering(n_groups).fit_predict(StandardScaler().fit_transform(X_train).T)


def loss_without(clf: SSLClassifier, columns: np.ndarray, n_repeats: int) -> float:
    """Return how much the log loss rises if some genes, together, come from other tumours."""
    rises = []
    for seed in range(n_repeats):
        X = X_test.copy()
        X[:, columns] = X[np.random.default_rng(seed).permutation(len(X))][:, columns]
        rises.append(log_loss(y_test, clf.predict_proba(X), labels=clf.classes_))
    return float(np.mean(rises)) - log_loss(y_test, clf.predict_proba(X_test), labels=clf.classes_)


def importance(clf: SSLClassifier) -> np.ndarray:
    """Return the rise of the log loss for every group."""
    n_repeats = 1 if small else 3
    groups = [np.flatnonzero(module == g) for g in range(n_groups)]
    return np.array([loss_without(clf, columns, n_repeats) for columns in groups])


# %%
# The same for other labelled tumours: three classifiers, whose lists should agree as far as they
# are to be believed.
lists = np.array([importance(each) for each in [clf, *(fitted(seed) for seed in (1, 2))]])
order = np.argsort(-lists.mean(axis=0))[:10]
sizes = np.bincount(module, minlength=n_groups)
markers = ["ESR1", "ERBB2", "KRT5", "FOXC1", "MKI67", "GATA3"]


def some_genes(g: int) -> str:
    """Return the markers in a group, or two of its genes."""
    inside = genes[module == g]
    return ", ".join([name for name in markers if name in inside] or inside[:2])


for g in order:
    print(
        f"group {g:2d}, {sizes[g]:4d} genes ({some_genes(g)}): log loss rises by "
        f"{lists[:, g].mean():.3f} ({lists[:, g].min():.3f} to {lists[:, g].max():.3f})"
    )

# %%
# One gene alone
# --------------
# A marker of a subtype, permuted by itself, costs next to nothing: its companions say the same. Nor
# do the groups of some of them cost much, or they cost less than nothing: other groups say it too,
# and a few thousandths may be chance. "Not important" means "can be spared by this classifier", not
# "has no part in the disease".
print()
alone = [name for name in markers if name in genes]
single = {name: loss_without(clf, np.flatnonzero(genes == name), 10) for name in alone}
whole = {name: lists[0, module[np.flatnonzero(genes == name)[0]]] for name in alone}
for name in alone:
    print(f"{name:<6} alone {single[name]:+.4f}, its group {whole[name]:+.4f}")

# %%
# The picture: the most important groups, one point for each of three sets of labelled tumours; and
# a gene alone beside its group.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for place, g in enumerate(order):
    left.plot(lists[:, g], [place] * 3, "o-", color="C0", markersize=5, linewidth=1)
left.set_yticks(range(len(order)), [f"{some_genes(g)} … ({sizes[g]})" for g in order])
left.invert_yaxis()
left.set(xlabel="rise of the log loss, group permuted", title="ten groups of genes")
right.barh(range(len(alone)), [whole[n] for n in alone], color="C0", height=0.4, label="its group")
right.barh(
    np.arange(len(alone)) + 0.4, [single[n] for n in alone], color="C1", height=0.4, label="alone"
)
right.set_yticks(np.arange(len(alone)) + 0.2, alone)
right.invert_yaxis()
right.set(xlabel="rise of the log loss", title="a gene alone, and its group")
right.legend(frameon=False)
for ax in (left, right):
    ax.axvline(0, color="grey", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
figure.savefig("plot_08_which_genes.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_08_which_genes.png"

# %%
# What this is not: a cause. Permuting asks what a fitted classifier uses, on tumours like these; a
# group that is high here may follow from the tissue's composition, the batch, or the way these
# genes were selected (``print(brca.DESCR)``). Take it as a question for the next experiment.
print(
    f"\nThe picture is in plot_08_which_genes.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
