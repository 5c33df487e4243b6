"""
Inside an embedding
===================

An encoder can do well in its pretext task and still throw away what tells samples apart: dimensions
of its embedding go flat, which is called collapse. And an encoder can be worth nothing in the end
but get there sooner. Both are looked at on 769 breast tumours of The Cancer Genome Atlas and their
PAM50 subtype: the spectrum of the embedding, how far corruption moves it, and accuracy by epoch of
fine-tuning.

Takes about three minutes on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a
rehearsal.

.. image:: /figures/plot_04_inside_an_embedding.png
   :alt: Spectra, alignment against uniformity, accuracy by epoch, and losses of the encoders.
"""

# %%
# Four encoders, one of them spoiled
# ----------------------------------
# Networks as in the study (four blocks, the output of the last one is the embedding), half as wide
# for the sake of time. The fourth is SCARF with a learning rate of 0.1, a hundred times the
# default: units die, which means that they are 0 for every sample and get no gradient any more.
import os
import platform
import time

import matplotlib.pyplot as plt

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import load_tcga_brca
from sslgex.evaluation import alignment_uniformity, convergence_curve, embedding_spectrum
from sslgex.plotting import (
    AlignmentUniformityDisplay,
    ConvergenceDisplay,
    LossCurveDisplay,
    SpectrumDisplay,
)

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
how = {
    "hidden_layer_sizes": (128,) * 4,
    "architecture": "mlp",
    "embedding": "last",
    "max_epochs": 5 if small else 40,
}
encoders = {
    "SCARF": ScarfTransformer(**how),
    "VIME": VimeTransformer(**how),
    "BYOL": ByolTransformer(**how),
    "SCARF, lr 0.1": ScarfTransformer(**how, lr=0.1),
}
fig, axes = plt.subplots(2, 2, figsize=(14, 9), layout="constrained")

# %%
# The spectrum
# ------------
# Unfitted encoders are pretrained on the training samples of every split, without labels; the
# spectrum is that of the held-out ones: singular values of the covariance of their embeddings. A
# flat line means that all dimensions carry something, a steep one that few do. Dimensions below the
# dashed line have collapsed.
looking = {"cv": 2 if small else 3, "n_jobs": 1 if small else 2, "random_state": 0}
spectrum = embedding_spectrum(encoders, brca.data, brca.target, **looking)
print(spectrum)
SpectrumDisplay.from_results(spectrum, ax=axes[0, 0])

# %%
# Alike to oneself, apart from others
# -----------------------------------
# Alignment is how far an embedding moves when a third of its sample's genes are corrupted,
# uniformity how evenly the embeddings of different samples lie on the sphere. Lower is better for
# both, and either is easy without the other.
sphere = alignment_uniformity(encoders, brca.data, brca.target, **looking)
print(sphere)
AlignmentUniformityDisplay.from_results(sphere, ax=axes[0, 1])

# %%
# Accuracy by epoch
# -----------------
# A hundred labels, drawn anew twice in each of three splits; the same network with and without
# pretraining, fine-tuned as in the study: a linear layer with random weights on top, batches of
# eight, a constant learning rate. The question is not only which curve ends higher, but which rises
# first. The curves are of test samples: no epoch may be chosen from them.
study = {"head": "sgd", "lr": 1e-4, "schedule": "constant", "batch_size": 8, "batch_norm": "batch"}
entries = {name: SSLClassifier(encoder, **study) for name, encoder in encoders.items()}
entries["from scratch"] = SSLClassifier(hidden_layer_sizes=how["hidden_layer_sizes"], **study)
results = convergence_curve(
    entries,
    brca.data,
    brca.target,
    label_size=100,
    max_epochs=4 if small else 30,
    n_draws=2,
    **looking,
)
print(results)
for name, (epochs, low, high) in results.epochs_to(of="from scratch").items():
    print(
        f"{name:<14} epochs to the best of 'from scratch': {epochs:.0f} ({low:.0f} to {high:.0f})"
    )
ConvergenceDisplay.from_results(results, ax=axes[1, 0])

# %%
# What the losses tell of all this
# --------------------------------
# Little. They have their own scale in every method, here divided by that of the first epoch, and
# one of them falls while its encoder collapses.
losses = {name: results.loss_curves[name] for name in encoders}
LossCurveDisplay(losses, relative=True).plot(axes[1, 1])
fig.savefig("plot_04_inside_an_embedding.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_04_inside_an_embedding.png"
print(
    f"\nThe picture is in plot_04_inside_an_embedding.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
