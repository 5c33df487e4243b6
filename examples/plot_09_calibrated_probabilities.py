"""
Can the probabilities be believed?
==================================

Of all samples for which a classifier says 80 %, eight in ten should be what it says. That is
calibration, and it is another thing than being right often. This example looks at it with 100
labelled tumours, drawn six times, for the default head, for logistic regression, and for the
network of the study, trained from scratch; and tries what scikit-learn's ``CalibratedClassifierCV``
makes of that network (its ``method="temperature"`` came with scikit-learn 1.8).

Data: 769 breast tumours of The Cancer Genome Atlas and their PAM50 subtype. Takes about three
minutes on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a rehearsal.

.. image:: /figures/plot_09_calibrated_probabilities.png
   :alt: Share that is right against the probability of the predicted class.
"""

# %%
# The contenders
# --------------
# ``CalibratedClassifierCV`` needs samples for its own fit: it holds out a fifth of the hundred
# labelled ones in turn, and averages five classifiers.
import os
import platform
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import load_tcga_brca
from sslgex.evaluation import default_baselines

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
X_pool, X_test, y_pool, y_test = train_test_split(
    brca.data, brca.target, stratify=brca.target, random_state=0
)
scarf = ScarfTransformer(max_epochs=5 if small else "auto", random_state=0).fit(X_pool)
network = SSLClassifier.from_preset("dradjat2025", encoder=None, mode="unfrozen", random_state=0)
network.set_params(max_epochs=5 if small else 100)
contenders = {
    "SCARF, default head": SSLClassifier(scarf, mode="frozen", random_state=0),
    "logistic regression": default_baselines(random_state=0)["logistic regression"],
    "network from scratch": network,
    "the same, calibrated": CalibratedClassifierCV(network, method="temperature", cv=5),
}

# %%
# Six draws of a hundred labels
# -----------------------------
# All contenders get the same tumours; the default head also gets the rest of the training samples
# without their labels. Test samples are the same throughout.
n_draws = 2 if small else 6
found = {name: [] for name in contenders}
for seed in range(n_draws):
    X_few, X_rest, y_few, _ = train_test_split(
        X_pool, y_pool, train_size=100, stratify=y_pool, random_state=seed
    )
    for name, model in contenders.items():
        more = {"X_unlabeled": X_rest} if name == "SCARF, default head" else {}
        found[name].append(clone(model).fit(X_few, y_few, **more).predict_proba(X_test))

# %%
# The log loss punishes wrong certainty most; the expected calibration error is the mean distance
# between what is said and what is true, over ten bins of the probability of the predicted class.
classes = np.unique(y_pool)


def said_and_true(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of the predicted class, and whether it was right."""
    return P.max(axis=1), classes[P.argmax(axis=1)] == y_test


def calibration_error(P: np.ndarray) -> float:
    """Return the mean distance, weighted by the number of samples in each bin."""
    said, true = said_and_true(P)
    place = np.minimum((said * 10).astype(int), 9)
    return sum(abs((said - true)[place == k].sum()) for k in range(10)) / len(said)


print(f"{'':<22}{'accuracy':>10}{'log loss':>10}{'calibration error':>19}")
for name, each in found.items():
    right = np.mean([said_and_true(P)[1].mean() for P in each])
    loss = np.mean([log_loss(y_test, P, labels=classes) for P in each])
    error = np.mean([calibration_error(P) for P in each])
    print(f"{name:<22}{right:>10.3f}{loss:>10.3f}{error:>19.3f}")

# %%
# On two cores of an AMD EPYC, with scikit-learn 1.9.1 and torch 2.13.0, it printed
#
# .. code-block:: text
#
#                             accuracy  log loss  calibration error
#     SCARF, default head        0.808     0.517              0.082
#     logistic regression        0.828     0.436              0.047
#     network from scratch       0.776     0.589              0.060
#     the same, calibrated       0.811     0.518              0.048
#
# The reliability diagram: all draws together, in bins that hold equally many predictions. On the
# diagonal what is said is true; below it a classifier is too sure of itself.
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
ax.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
for (name, each), marker in zip(found.items(), "os^D", strict=True):
    said, true = np.concatenate([said_and_true(P) for P in each], axis=1)
    bins = np.array_split(np.argsort(said), 8)
    ax.plot(
        [said[b].mean() for b in bins], [true[b].mean() for b in bins], marker=marker, label=name
    )
ax.set(xlabel="probability of the predicted class", ylabel="share that is right", xlim=(0.35, 1.02))
ax.set_ylim(0.35, 1.02)
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
figure.savefig("plot_09_calibrated_probabilities.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_09_calibrated_probabilities.png"

# %%
# The picture: the network is near the diagonal as it is, and no nearer once calibrated. It is the
# default head that is too sure of itself, where it is nearly certain: the points at the top right.
#
# Whoever reads the table should know what is compared: a temperature changes no prediction, so
# where the calibrated network is right more often, that is its being an average of five, and so is
# a part of its log loss. And what is calibrated here is calibrated for tumours like these, in the
# proportions they have here. In another hospital, with other proportions, probabilities have to be
# looked at again.
print(
    f"\nThe picture is in plot_09_calibrated_probabilities.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
