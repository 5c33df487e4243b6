"""Faults of training: it blows up, values change on the disk, files are cut, memory runs out."""

import gc
import os
import pickle
import subprocess
import sys
import weakref

import h5py
import numpy as np
import pytest
import torch
from on_disk import KINDS, X, shrink
from sklearn.base import clone

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer, _inputs
from sslgex._sources import Source
from sslgex._training.checkpoint import Checkpoint
from sslgex._training.engine import Engine
from sslgex.exceptions import DivergedError

HOW = {"max_epochs": 5, "batch_size": 250, "random_state": 0, "device": "cpu"}
METHODS = {
    "scarf": ScarfTransformer((16,), projection_sizes=(8,), validation_fraction=0.2, **HOW),
    "vime": VimeTransformer((16,), decoder_sizes=(8,), architecture="mlp", **HOW),
    "byol": ByolTransformer((16,), projection_sizes=(8, 4), prediction_sizes=(8, 4), **HOW),
}
N_BATCHES = 4  # of the 1,000 samples, or of the 800 that are not held out
SMALL = METHODS["vime"]


def at_batch(monkeypatch, n, act):
    """Call ``act(engine)`` after the n-th update of the weights."""
    train, done = Engine.train_batch, []

    def counted(self, *args):
        train(self, *args)
        done.append(1)
        if len(done) == n:
            act(self)

    monkeypatch.setattr(Engine, "train_batch", counted)


@torch.no_grad()
def spoil(engine):
    """Make one weight of the encoder infinite, as a step too far does."""
    next(engine.module_.encoder.parameters())[0, 0] = float("inf")


def n_epochs(path):
    return Checkpoint(path, 1, None).n_epochs


# ------------------------------------------------------------------------------ blowing up


@pytest.mark.parametrize("name", METHODS)
def test_training_that_blows_up_hands_over_the_last_good_weights(name, tmp_path, monkeypatch):
    est = clone(METHODS[name]).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    kept = []
    n = 3 * N_BATCHES + 1  # in the fourth epoch
    with monkeypatch.context() as patch:
        at_batch(patch, n - 1, lambda engine: kept.append(weights(engine.module_.encoder)))
        at_batch(patch, n, spoil)
        with pytest.raises(
            DivergedError, match=r"nan in epoch 4\. Lower the learning rate"
        ) as info:
            est.fit(X)
    assert not hasattr(est, "encoder_")
    good = info.value.last_good
    assert f"{type(est).__name__} fitted by the 3 epochs before" in str(info.value)
    assert type(good) is type(est)
    assert good.n_iter_ == len(good.history_) == len(good.loss_curve_) == 3
    assert weights(good.encoder_).keys() == kept[0].keys()
    assert all(torch.equal(weights(good.encoder_)[key], kept[0][key]) for key in kept[0])
    assert np.isfinite(good.transform(X)).all()
    # And where a checkpoint was asked for, its file holds the same epochs.
    assert n_epochs(tmp_path / "kept") == 3
    assert clone(est).fit(X).n_iter_ == 5  # from there, now that nothing spoils it


def weights(encoder):
    """Return the matrices; a residual encoder's last bias is set when training has ended."""
    return {key: p.detach().clone() for key, p in encoder.named_parameters() if p.ndim == 2}


def test_the_last_update_of_all_is_looked_at_too(monkeypatch):
    """Its loss is that of the weights before: fit returned an encoder of NaN."""
    at_batch(monkeypatch, 5 * N_BATCHES, spoil)
    with pytest.raises(DivergedError, match=r"sum of the weights is inf in epoch 5") as info:
        clone(SMALL).fit(X)
    assert info.value.last_good.n_iter_ == 4


def test_a_first_epoch_that_blows_up_leaves_nothing(tmp_path):
    est = clone(SMALL).set_params(lr=1e20, checkpoint=tmp_path / "kept", checkpoint_every=1)
    with pytest.raises(
        DivergedError, match=r"in epoch 1\. Lower the learning rate, lr=1e\+20"
    ) as i:
        est.fit(X)
    assert i.value.last_good is None
    assert not (tmp_path / "kept").exists()


def test_a_fitted_estimator_stays_as_it_was_when_a_refit_blows_up():
    est = clone(SMALL).fit(X)
    Z = est.transform(X)
    with pytest.raises(DivergedError):
        est.set_params(lr=1e20).fit(X)
    assert np.array_equal(est.transform(X), Z)


def test_fine_tuning_that_blows_up_leaves_the_encoder_as_it_was():
    encoder = clone(SMALL).fit(X)
    Z = encoder.transform(X)
    clf = SSLClassifier(encoder, head="linear", early_stopping=False, lr=1e20, random_state=0)
    with pytest.raises(DivergedError, match=r"Lower the learning rate, lr=1e\+20") as info:
        clf.fit(X[:50], X[:50, 0] > 3)
    assert info.value.last_good is None
    assert np.array_equal(encoder.transform(X), Z)


def test_what_is_handed_over_can_be_trained_further_and_comes_out_of_a_worker(monkeypatch):
    with monkeypatch.context() as patch:
        at_batch(patch, 3 * N_BATCHES + 1, spoil)
        with pytest.raises(DivergedError) as info:
            clone(SMALL).fit(X)
    good = pickle.loads(pickle.dumps(info.value)).last_good
    assert np.array_equal(good.transform(X), info.value.last_good.transform(X))
    with pytest.warns(UserWarning, match="heads"):
        good.set_params(lr=1e-4, warm_start=True).fit(X)
    assert good.n_iter_ == 5


# ------------------------------------------------------------------------------ on the disk


def large(folder):
    """Return a matrix on disk of 41,000 samples, 5 MB."""
    rng = np.random.default_rng(0)
    np.save(folder / "large.npy", rng.normal(size=(41_000, 32)).astype(np.float32))
    return np.load(folder / "large.npy", mmap_mode="r+")


@pytest.fixture
def streamed(monkeypatch):
    monkeypatch.setattr(_inputs, "IN_MEMORY", 2**20)


WIDE = clone(SMALL).set_params(max_epochs=3, batch_size=1_000)


def test_a_nan_in_row_40000_is_named_before_training(streamed, tmp_path, monkeypatch):
    values = large(tmp_path)
    values[40_000, 5] = np.nan
    monkeypatch.setattr(Engine, "train_batch", None)
    with pytest.raises(ValueError, match=r"contains NaN(?s:.*)row 40000, column 5\. Impute"):
        clone(WIDE).fit(values)


def test_a_nan_that_comes_while_training_stops_it_and_the_checkpoint_goes_on(
    streamed, tmp_path, monkeypatch
):
    values = large(tmp_path)
    whole = clone(WIDE).fit(values)
    est = clone(WIDE).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    mended = float(values[40_000, 5])

    def damage(engine):
        values[40_000, 5] = np.nan

    with monkeypatch.context() as patch:
        at_batch(patch, 41, damage)  # the end of the first epoch
        with pytest.raises(ValueError, match=r"contains NaN(?s:.*)row 40000, column 5") as info:
            est.fit(values)
    assert not isinstance(info.value, DivergedError)
    assert not hasattr(est, "encoder_")
    assert n_epochs(tmp_path / "kept") == 1
    with pytest.raises(ValueError, match="row 40000, column 5"):
        est.fit(values)
    assert n_epochs(tmp_path / "kept") == 1
    values[40_000, 5] = mended
    assert np.array_equal(est.fit(values).transform(values[:99]), whole.transform(values[:99]))


def uncached(folder, X):
    """Return a dataset of chunks none of which HDF5 keeps in memory."""
    KINDS["hdf5, chunks"](folder, X).file.close()
    return h5py.File(folder / "x.h5", "r", rdcc_nbytes=0)["X"]


CUT = {kind: KINDS[kind] for kind in KINDS if kind not in ("zarr", "h5ad, csr")}
CUT = {kind: make for kind, make in CUT.items() if "chunks" not in kind} | {"chunks": uncached}
few_blocks = pytest.mark.filterwarnings("ignore:.*are stored together:UserWarning")


@few_blocks
@pytest.mark.parametrize("kind", CUT)
def test_a_file_cut_while_it_is_read_is_named(kind, tmp_path, monkeypatch):
    """Where HDF5 gave zeros, and a memmap ended the process."""
    shrink(monkeypatch, window=1100 if "columns" in kind or kind == "genes first" else 200)
    values = CUT[kind](tmp_path, X)
    if hasattr(getattr(values, "file", None), "flush"):
        values.file.flush()
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    read, epochs = Source._stored, []

    def cut(self, start, stop):
        # By the thread that reads, or the file would be cut under its hands.
        if (tmp_path / "kept").exists() and not epochs:
            epochs.append(n_epochs(tmp_path / "kept"))
            for path in files:
                os.truncate(path, path.stat().st_size // 2)
        return read(self, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(Source, "_stored", cut)
        with pytest.raises(OSError, match=r"Rows [\d,]+ to [\d,]+ of .*cannot be read") as info:
            est.fit(values)
    assert any(path.name in str(info.value) for path in files), info.value
    assert not hasattr(est, "encoder_")
    assert n_epochs(tmp_path / "kept") == epochs[0] >= 1


@few_blocks
def test_a_chunk_of_zarr_cut_while_it_is_read_is_named(tmp_path, monkeypatch):
    shrink(monkeypatch)
    values = KINDS["zarr"](tmp_path, X)
    est = clone(SMALL)

    def cut(engine):
        for path in (tmp_path / "x.zarr").rglob("c/*/*"):
            os.truncate(path, path.stat().st_size // 2)

    at_batch(monkeypatch, 2, cut)
    with pytest.raises(OSError, match=r"Rows [\d,]+ to [\d,]+ of .*x\.zarr.*cannot be read"):
        est.fit(values)
    assert not hasattr(est, "encoder_")


# ------------------------------------------------------------------------------ memory

# After a fit that has loaded all there is to load, so much more memory as one large batch fills.
MEMORY = """
import re, resource, sys
import numpy as np, torch
from sslgex import ScarfTransformer

torch.set_num_threads(1)
X = np.random.default_rng(0).standard_normal((1_200, 20_000), np.float32)
mlp = {"architecture": "mlp", "max_epochs": 1, "random_state": 0, "device": "cpu"}
est = ScarfTransformer((8,), batch_size=16, **mlp).fit(X[:20])
narrow = ScarfTransformer((8,), max_epochs=1, random_state=0, device="cpu").fit(X[:20, :3])
with open("/proc/self/status") as status:
    used = 1024 * int(re.search(r"VmData:\\s+(\\d+)", status.read())[1])
resource.setrlimit(resource.RLIMIT_DATA, (used + 200 * 2**20,) * 2)
for act in (
    lambda: est.set_params(batch_size=1_200).fit(X),
    lambda: est.set_params(batch_size=16).fit(X),
    lambda: narrow.transform(np.broadcast_to(X[:1, :3], (30_000_000, 3))),
):
    try:
        act()
        print("done")
    except MemoryError as error:
        print(type(error).__name__, error, "|", type(error.__cause__).__name__)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process so")
def test_too_little_memory_is_told_with_the_batch_size_and_a_smaller_batch_then_fits():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("OutOfMemoryError ScarfTransformer.fit is out of memory (")
    assert "batch_size=1,200 samples of 20,000 genes takes 92 MB" in first
    assert "lower batch_size first" in first
    assert second == "done"
    assert third.startswith("OutOfMemoryError ScarfTransformer.transform is out of memory (")
    assert "out=path" in third


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("could not create a primitive"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        MemoryError(),
    ],
    ids=["cpu", "onednn", "mps", "cuda", "numpy"],
)
def test_every_packages_way_of_saying_it(error, monkeypatch):
    def fail(self, *args):
        raise error

    monkeypatch.setattr(Engine, "train_batch", fail)
    for est in (clone(SMALL), SSLClassifier(clone(SMALL), head="linear")):
        with pytest.raises(MemoryError, match=r"VimeTransformer\.fit .*batch_size=250") as info:
            est.fit(X, X[:, 0] > 3)
        assert info.value.__cause__ is error
        assert info.type.__name__ == "OutOfMemoryError"


def test_the_error_keeps_no_memory_once_it_is_gone(monkeypatch):
    """Or a smaller batch would not fit either."""
    rows = X.copy().view(Tracked)
    alive = weakref.ref(rows)
    gc.collect()
    gc.disable()
    try:
        monkeypatch.setattr(Engine, "train_batch", out_of_memory)
        with pytest.raises(MemoryError):
            clone(SMALL).fit(rows)
        del rows
        assert alive() is None
    finally:
        gc.enable()


class Tracked(np.ndarray):
    """An array that can be referred to weakly."""


def out_of_memory(self, *args):
    raise MemoryError
