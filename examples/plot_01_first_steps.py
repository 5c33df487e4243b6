"""
First steps: what does pretraining buy on breast tumours?
=========================================================

769 breast cancer patients of The Cancer Genome Atlas, five PAM50 subtypes. We pretrain an encoder
on the training part without its labels, by each of three methods, and then classify from 20, 50,
100 and all labels. The opponents are the ones to beat: logistic regression with a tuned penalty on
the genes and on principal components; the same network without pretraining stands beside them.

Takes three to four minutes on two CPU cores; ``SSLGEX_SCALE=small`` in the environment makes it a
rehearsal.

.. image:: /figures/plot_01_first_steps.png
   :alt: Accuracy and balanced accuracy against the number of labels, a curve per contender.
"""

# %%
# The data
# --------
# Values are log2; samples are rows, genes columns. A quarter is set aside for testing before
# anything is fitted, and stays unseen by everything below. The other rows are the pool: all of
# them without labels for pretraining, a few of them with labels for the classifiers.
#
# Two cautions, told in full by ``print(brca.DESCR)``: the data's source had chosen its genes with
# an eye on the subtypes, which flatters every method below alike, and 91 of the profiles are
# averages of a tumour and normal tissue of the same patient.
import os
import platform
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sslgex.datasets import load_tcga_brca

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
X_pool, X_test, y_pool, y_test = train_test_split(
    brca.data, brca.target, test_size=0.25, stratify=brca.target, random_state=0
)
print(f"pool {X_pool.shape}, test {X_test.shape}")
print(pd.Series(y_pool).value_counts().to_string(), "\n")

# %%
# Pretraining
# -----------
# ``fit`` sees no labels. The progress bar is scikit-learn's own callback.
from sklearn.callback import ProgressBar

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer

max_epochs = 5 if small else "auto"
encoders = {
    "SCARF": ScarfTransformer(max_epochs=max_epochs, random_state=0),
    "VIME": VimeTransformer(max_epochs=max_epochs, random_state=0),
    "BYOL": ByolTransformer(max_epochs=max_epochs, random_state=0),
}
for name, encoder in encoders.items():
    began = time.perf_counter()
    encoder.set_callbacks(ProgressBar()).fit(X_pool)
    encoder.set_callbacks()
    seconds = time.perf_counter() - began
    print(
        f"{name}: {encoder.n_iter_} epochs in {seconds:.0f} s, loss "
        f"{encoder.loss_curve_[0]:.2f} -> {encoder.loss_curve_[-1]:.2f}, "
        f"spread of the representations {encoder.history_[-1]['spread']:.2f}",
        flush=True,
    )

# %%
# The contenders
# --------------
# Every one is an ``SSLClassifier``: any transformer may stand as its encoder, so the linear
# baselines get the same tuned logistic regression with the same class weights. They also get the
# same pool: scaling and principal components are fitted on all of it. The number of components is
# chosen among the labelled samples by an inner cross-validation. ``FrozenEstimator`` keeps a fitted
# transformer fitted inside a grid.
#
# Of every pretrained encoder there are three rows. "embedding" is logistic regression on what the
# encoder makes of the samples, and nothing else. "frozen" is the default head: that and linear
# models of genes and principal components as one, and what the labels say of their neighbours
# among the other profiles of the pool. "unfrozen" trains the encoder along, as long as that helps
# samples held out.
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import SSLClassifier

components = [
    FrozenEstimator(make_pipeline(StandardScaler(), PCA(k, random_state=0)).fit(X_pool))
    for k in (8, 16, 32, 64)
]
contenders = {
    "network from scratch": SSLClassifier(),
    "logistic regression on genes": SSLClassifier(
        StandardScaler().fit(X_pool), mode="frozen", head="linear"
    ),
    "logistic regression on PCA": GridSearchCV(
        SSLClassifier(components[0], mode="frozen", head="linear"),
        {"encoder": components},
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
    ),
}
for name, encoder in encoders.items():
    contenders[f"{name} embedding"] = SSLClassifier(encoder, mode="frozen", head="linear")
    contenders[f"{name} frozen"] = SSLClassifier(encoder, mode="frozen")
    contenders[f"{name} unfrozen"] = SSLClassifier(encoder, mode="unfrozen")

# %%
# The comparison
# --------------
# Three draws of labelled samples for each number of labels, the same draws for all contenders. Of
# all labels there is only one.
from sklearn.base import clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

# With 20 labels there is nothing to spare for validation, and some classes are rarer than the
# folds; both are as expected here.
warnings.filterwarnings("ignore", message="Too few labels for early stopping")
warnings.filterwarnings("ignore", message="The least populated class")

sizes = [20, 50] if small else [20, 50, 100, len(y_pool)]
n_draws = 1 if small else 3
rows = []
for size in sizes:
    for draw in range(n_draws if size < len(y_pool) else 1):
        labelled = np.arange(len(y_pool))
        if size < len(y_pool):
            labelled, _ = train_test_split(
                labelled, train_size=size, stratify=y_pool, random_state=draw
            )
        for name, contender in contenders.items():
            model = clone(contender)
            seed = "estimator__random_state" if hasattr(model, "estimator") else "random_state"
            model.set_params(**{seed: draw})
            others = np.setdiff1d(np.arange(len(y_pool)), labelled)
            learns_from_others = name.endswith(("frozen", "unfrozen")) and len(others)
            more = {"X_unlabeled": [X_pool[others]]} if learns_from_others else {}
            model.fit(X_pool[labelled], y_pool[labelled], **more)
            predicted = model.predict(X_test)
            assert set(model.classes_) == set(brca.target_names)  # or there is no log loss
            rows.append(
                {
                    "model": name,
                    "labels": size,
                    "draw": draw,
                    "accuracy": accuracy_score(y_test, predicted),
                    "balanced accuracy": balanced_accuracy_score(y_test, predicted),
                    "log loss": log_loss(y_test, model.predict_proba(X_test)),
                }
            )
        elapsed = time.perf_counter() - start
        print(f"[{elapsed:4.0f} s] {size} labels, draw {draw + 1}", flush=True)
results = pd.DataFrame(rows)

# %%
# The table: means over the draws with their standard errors, accuracies in per cent. The errors
# tell how much the choice of labelled samples matters, not how much the choice of test samples
# does: one standard error of an accuracy of 85 % over 193 test samples is another 2.6 points. The
# log loss (lower is better) tells whether the probabilities can be believed.
metrics = {"accuracy": "{:.1f}", "balanced accuracy": "{:.1f}", "log loss": "{:.2f}"}
results[["accuracy", "balanced accuracy"]] *= 100
grouped = results.groupby(["model", "labels"], sort=False)[list(metrics)]
mean, error = grouped.mean(), grouped.sem()
print(f"\nTCGA-BRCA, PAM50 subtype, {len(y_test)} test samples, mean ± standard error")
for metric, form in metrics.items():
    spread = error[metric].map(f" ± {form}".format, na_action="ignore").fillna("")
    cells = mean[metric].map(form.format) + spread
    table = cells.unstack("labels").loc[list(contenders), sizes]
    table.columns = [f"{n} labels" for n in sizes]
    unit = "" if metric == "log loss" else ", per cent"
    print(f"\n{metric}{unit}\n{table.to_string()}")

# %%
# The curves.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
styles = {"embedding": ":", "frozen": "--", "unfrozen": "-"}
colours = {"SCARF": "C0", "VIME": "C1", "BYOL": "C2"}
for axis, metric in zip(axes, ["accuracy", "balanced accuracy"], strict=True):
    for i, name in enumerate(contenders):
        method, _, mode = name.partition(" ")
        colour = colours.get(method, ["0.6", "black", "0.35"][min(i, 2)])
        # A little to the side, so that error bars do not hide each other.
        x = np.array(sizes) * 1.015 ** (i - len(contenders) / 2)
        axis.errorbar(
            x,
            mean.loc[name, metric],
            error.loc[name, metric],
            label=name,
            color=colour,
            linestyle=styles.get(mode, ":" if i < 1 else "-"),
            marker="o",
            markersize=3,
            linewidth=1.3,
        )
    axis.set(xscale="log", xlabel="labelled samples", title=metric)
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
axes[0].set_ylabel("per cent")
axes[0].legend(fontsize="small", loc="lower right")  # where no curve passes
figure.savefig("plot_01_first_steps.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_01_first_steps.png"
print("\nThe curves are in plot_01_first_steps.png")

# %%
# In a pipeline
# -------------
# A pretrainer is a transformer like any other, so a grid search may tune what follows it. With
# ``memory`` the pretraining of each fold is done once and not once per candidate. Here pretraining
# is part of the cross-validation: every fold's encoder has seen its training rows only.
import tempfile

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

with tempfile.TemporaryDirectory() as cache:
    pipeline = Pipeline(
        [
            ("ssl", ByolTransformer(max_epochs=3 if small else 15, random_state=0)),
            ("clf", LogisticRegression(max_iter=1000)),
        ],
        memory=cache,
    )
    search = GridSearchCV(pipeline, {"clf__C": [0.001, 0.01, 0.1]}, cv=3)
    search.fit(X_pool, y_pool)
print(f"\nPipeline under GridSearchCV: best {search.best_params_}, ", end="")
print(f"test accuracy {100 * search.score(X_test, y_test):.1f} %")

# %%
# And an encoder that is already pretrained stays as it is in a pipeline, inside
# ``FrozenEstimator``.
pipeline = Pipeline(
    [
        ("ssl", FrozenEstimator(encoders["SCARF"])),
        ("clf", LogisticRegression(C=0.01, max_iter=1000)),
    ]
)
pipeline.fit(X_pool, y_pool)
print(f"Pretrained SCARF in a Pipeline: test accuracy {100 * pipeline.score(X_test, y_test):.1f} %")

# %%
# Where this was run, and how long it took.
from importlib.metadata import version

packages = ", ".join(f"{name} {version(name)}" for name in ("sslgex", "scikit-learn", "torch"))
print(
    f"\n{packages}, Python {platform.python_version()}, {platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s"
)
