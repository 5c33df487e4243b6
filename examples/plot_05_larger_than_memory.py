"""
Larger than memory
==================

A compendium of 1.5 GB on disk is pretrained on in little more than half of that memory. What does
the fit hold while it reads, and what if it is interrupted? Before it begins ``estimate_resources``
says whether it will fit; the memory of this process is then watched, beside the size of the file;
and Ctrl-C in the second epoch costs no more than that epoch.

Takes about two minutes on two CPU cores and 1.5 GB of disk. ``SSLGEX_SCALE=small`` in the
environment makes the file 100 MB: so small a matrix is read into memory whole, nothing streams, and
the picture shows just that.

.. image:: /figures/plot_05_larger_than_memory.png
   :alt: Memory held in the course of time, far below the size of the file.
"""

# %%
# The file
# --------
# The package brings 769 breast tumours of The Cancer Genome Atlas, which is no compendium. So one
# is made of three quarters of them: every row is a patient's profile with noise of half a standard
# deviation on every gene. That makes a file of the right size whose samples carry the patient's
# PAM50 subtype; it makes no new biology, and what is learned from it says nothing about what a real
# compendium would teach. The other patients never get near it: they are for the test. The rows are
# written in blocks, so that this too takes little memory. Samples in rows, neither compressed nor
# in chunks: so HDF5 is read as fast as the disk goes. For files that are otherwise there is
# ``sslgex.datasets.cache_rows``.
import _thread
import os
import platform
import signal
import tempfile
import threading
import time
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import psutil
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import ScarfTransformer, estimate_resources
from sslgex.datasets import load_tcga_brca

start = time.perf_counter()
small = os.environ.get("SSLGEX_SCALE") == "small"
brca = load_tcga_brca()
X_known, X_test, y_known, y_test = train_test_split(
    brca.data, brca.target, test_size=0.25, stratify=brca.target, random_state=0
)
n_samples, n_genes = 8_000 if small else 125_000, brca.data.shape[1]
rng = np.random.default_rng(0)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "compendium.h5"
patient = rng.integers(len(X_known), size=n_samples)
half = X_known.std(axis=0) / 2
with h5py.File(path, "w") as file:
    rows = file.create_dataset("X", (n_samples, n_genes), "float32")
    for at in range(0, n_samples, 1_000):
        some = X_known[patient[at : at + 1_000]]
        rows[at : at + 1_000] = some + half * rng.standard_normal(some.shape, dtype=np.float32)
print(f"{n_samples:,} profiles of {n_genes:,} genes: {path.stat().st_size / 1e9:.1f} GB\n")

# %%
# Will it fit?
# ------------
# The estimate needs no data, only their shape. On disk, what counts is the fit alone: two windows
# of 256 MB that batches are mixed from, 256 MB of samples that corruption takes values from, the
# network and a batch. None of it grows with the file. The time of an epoch is measured on random
# values, and leaves out reading.
scarf = ScarfTransformer(
    max_epochs=2 if small else 3,
    checkpoint=Path(folder.name) / "scarf.checkpoint",
    checkpoint_every=1,  # epoch; the default is every 10 minutes
    random_state=0,
    verbose=1,
)
on_disk = estimate_resources(n_samples, n_genes, scarf, on_disk=True)
in_memory = estimate_resources(n_samples, n_genes, scarf, probe=False)
needed = in_memory.matrix_bytes + in_memory.fit_bytes
print(f"{on_disk}\n\nAs an array in memory it would take {needed / 1e9:.1f} GB.\n")

# %%
# Watching memory
# ---------------
# A thread notes every twentieth of a second what this process holds, above what it held before.
process = psutil.Process()
before, began = process.memory_info().rss, time.perf_counter()
seconds, megabytes, spans = [], [], []
done = threading.Event()


def watch():
    while not done.wait(0.05):
        seconds.append(time.perf_counter() - began)
        megabytes.append((process.memory_info().rss - before) / 1e6)


watcher = threading.Thread(target=watch, daemon=True)
watcher.start()

# %%
# Interrupted
# -----------
# Somebody presses Ctrl-C as soon as the first epoch is over and kept: here a thread does.
# The dataset is passed as it is; ``fit`` reads what it needs.
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script in the background ignores it


def interrupt():
    while not scarf.checkpoint.exists():
        time.sleep(0.01)
    _thread.interrupt_main()


threading.Thread(target=interrupt, daemon=True).start()
file = h5py.File(path)
spans.append(("fit", time.perf_counter() - began))
try:
    scarf.fit(file["X"])
except KeyboardInterrupt:
    print("Interrupted.\n")

# %%
# The same call goes on after the first epoch. The file is read once more for the statistics of the
# genes, by which it is also told that these are the data that the checkpoint is of. What comes out
# is what would have come out without the interruption; on the same machine's CPU, to the bit.
spans.append(("fit, going on", time.perf_counter() - began))
scarf.fit(file["X"])

# %%
# The embedding
# -------------
# ``transform`` with ``out`` writes the embedding to a .npy file as it reads, and returns it mapped:
# that is not held in memory either.
spans.append(("transform", time.perf_counter() - began))
Z = scarf.transform(file["X"], out=Path(folder.name) / "embedding.npy")
spans.append(("", time.perf_counter() - began))
done.set()
watcher.join()
file.close()
print(f"\nThe embedding: {Z.shape[0]:,} x {Z.shape[1]}, {type(Z).__name__}")
said = on_disk.matrix_bytes + on_disk.fit_bytes
print(
    f"At most {max(megabytes):,.0f} MB were held; the estimate was {said / 1e6:,.0f}, "
    f"the file has {path.stat().st_size / 1e6:,.0f}."
)

# %%
# Was anything learned? A linear probe: logistic regression on the embedding of one row of every
# patient in the file, scored on the patients who are not. Beside it, the same on the genes.
first = np.sort(np.unique(patient, return_index=True)[1])  # h5py wants them in order
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
labels = y_known[patient[first]]
with h5py.File(path) as file:
    genes = file["X"][first]
scores = {
    "embedding": probe.fit(Z[first], labels).score(scarf.transform(X_test), y_test),
    "genes": probe.fit(genes, labels).score(X_test, y_test),
    "most frequent subtype": np.unique(y_test, return_counts=True)[1].max() / len(y_test),
}
print(f"\nAccuracy in {len(y_test)} other patients, from {len(first)} labels")
for name, score in scores.items():
    print(f"  {name:<22} {score:.2f}")

# %%
# The picture
# -----------
# In a fit from disk memory rises while samples are drawn, then with the two windows, and stays
# there. The interruption gives it back.
fig, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
ax.plot(seconds, megabytes, color="C0")
lines = {
    "size of the file": (path.stat().st_size, "C3", "-"),
    "estimated, as an array": (needed, "C3", "--"),
    "estimated, from disk": (said, "C0", "--"),
}
for name, (n_bytes, color, style) in lines.items():
    ax.axhline(n_bytes / 1e6, color=color, linestyle=style, linewidth=1, label=name)
top = 1.5 * max(needed / 1e6, *megabytes)
for name, at in spans[:-1]:
    ax.axvline(at, color="0.8", linewidth=1, zorder=0)
    how = {"xytext": (4, -4), "textcoords": "offset points", "rotation": 90, "va": "top"}
    ax.annotate(name, (at, top), fontsize=9, **how)
ax.set(xlabel="Seconds", ylabel="MB held, above those before", xlim=(0, seconds[-1]), ylim=(0, top))
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
ax.spines[["top", "right"]].set_visible(False)
fig.savefig("plot_05_larger_than_memory.png", dpi=120)
# sphinx_gallery_thumbnail_path = "figures/plot_05_larger_than_memory.png"
del Z  # it maps a file of the folder
folder.cleanup()
print(
    f"\nThe picture is in plot_05_larger_than_memory.png ({platform.machine()}, "
    f"{time.perf_counter() - start:.0f} s)"
)
