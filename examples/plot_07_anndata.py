"""
AnnData and scanpy, in and out
==============================

Expression profiles often come as an AnnData: counts and logs in layers, labels in ``obs``, gene
names in ``var``. The estimators take it as it is, and the embedding goes back to where scanpy looks
for it.

Takes about half a minute on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a
rehearsal.

.. image:: /figures/plot_07_anndata.png
   :alt: The embedding in a plane, coloured by subtype and by prediction.
"""

# %%
# An AnnData with a layer
# -----------------------
# 769 breast tumours of The Cancer Genome Atlas, log2 values in the layer "log2". ``X`` holds
# something else on purpose: a fit without ``layer="log2"`` would take it.
import os
import platform
import tempfile
import time
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.manifold import TSNE

from sslgex import ByolTransformer, SSLClassifier
from sslgex.datasets import load_tcga_brca

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
adata = anndata.AnnData(
    np.exp2(brca.data) - 1,
    obs=pd.DataFrame({"subtype": pd.Categorical(brca.target)}, index=brca.sample_ids),
    var=pd.DataFrame(index=brca.feature_names),
    layers={"log2": brca.data},
)
print(adata, "\n")

# %%
# The embedding
# -------------
# Pretrained on all tumours, without labels. It goes into ``obsm``, and with the AnnData into a
# file.
byol = ByolTransformer(layer="log2", max_epochs=5 if small else "auto", random_state=0)
adata.obsm["X_byol"] = byol.fit_transform(adata)
path = Path(tempfile.mkdtemp()) / "brca.h5ad"
adata.write_h5ad(path)
adata = anndata.read_h5ad(path)
print(f"{path.name}: X_byol of shape {adata.obsm['X_byol'].shape}\n")

# %%
# Where scanpy is installed, it goes on from there::
#
#     import scanpy as sc
#     sc.pp.neighbors(adata, use_rep="X_byol")
#     sc.tl.leiden(adata)
#     sc.tl.umap(adata)
#     sc.pl.umap(adata, color=["leiden", "subtype"])
#
# Genes in another order
# ----------------------
# Gene names are those of ``var``, and they are compared. A matrix whose genes come in another order
# is refused, not taken for what it is not; with the names at hand it is put right in one line.
shuffled = adata[:5, np.random.default_rng(0).permutation(adata.n_vars)]
try:
    byol.transform(shuffled)
except ValueError as error:
    print(error)
same = byol.transform(shuffled[:, byol.feature_names_in_])
print(f"put right: the same embedding: {np.allclose(same, adata.obsm['X_byol'][:5], atol=1e-5)}\n")

# %%
# A prediction into ``obs``
# -------------------------
# Half of the tumours lose their label. ``unlabeled_label`` says which label means "none", and the
# classifier gets the AnnData whole; it reads the layer of its encoder, which stays as it was
# pretrained. The tumours that are predicted were at hand all along, without their labels: what is
# right of them is so transductively, and not a score for new samples.
known = np.random.default_rng(0).random(adata.n_obs) < 0.5
labels = adata.obs["subtype"].astype(str).where(known, "unknown")
clf = SSLClassifier(byol, mode="frozen", unlabeled_label="unknown", random_state=0)
clf.fit(adata, labels)
adata.obs["predicted"] = pd.Categorical(clf.predict(adata))
adata.obs["confidence"] = clf.predict_proba(adata).max(axis=1)
hidden = adata.obs[~known]
print(pd.crosstab(hidden["subtype"], hidden["predicted"]).to_string())
print(f"\nright of those without a label: {(hidden.subtype == hidden.predicted).mean():.3f}")

# %%
# A look at the embedding, here by t-SNE of scikit-learn.
plane = TSNE(random_state=0, init="pca").fit_transform(adata.obsm["X_byol"])
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharex=True, sharey=True)
for ax, column in zip(axes, ["subtype", "predicted"], strict=True):
    for name in sorted(set(brca.target)):
        here = (adata.obs[column] == name).to_numpy()
        ax.scatter(*plane[here].T, s=10, label=name)
    ax.set(title=column, xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    ax.spines[["top", "right"]].set_visible(False)
axes[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
figure.savefig("plot_07_anndata.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_07_anndata.png"
print(
    f"\nThe picture is in plot_07_anndata.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
