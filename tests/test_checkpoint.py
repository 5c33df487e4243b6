"""`checkpoint`: a process that is killed at any moment loses no more than has not been written."""

import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from on_disk import X, hdf5, memmap, shrink
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sslgex import (
    ByolTransformer,
    ScarfTransformer,
    SSLClassifier,
    VimeTransformer,
    _tensor_file,
    load,
    save,
)
from sslgex._training.engine import Engine

HOW = {"max_epochs": 6, "batch_size": 256, "dropout": 0.1, "random_state": 0, "device": "cpu"}
METHODS = {
    "scarf": ScarfTransformer(
        (16,), projection_sizes=(8,), early_stopping=True, n_iter_no_change=4, tol=10, **HOW
    ),
    "vime": VimeTransformer((16,), decoder_sizes=(8,), architecture="mlp", **HOW),
    "byol": ByolTransformer(
        (16,), projection_sizes=(8, 4), prediction_sizes=(8, 4), ema_schedule="cosine", **HOW
    ),
}
SMALL = METHODS["vime"]
each_method = pytest.mark.parametrize("name", METHODS)
few_blocks = pytest.mark.filterwarnings("ignore:.*are stored together:UserWarning")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_batch(monkeypatch, n):
    """Die before the n-th update of the weights."""
    train, done = Engine.train_batch, []

    def counted(self, *args):
        done.append(1)
        if len(done) == n:
            die()
        train(self, *args)

    monkeypatch.setattr(Engine, "train_batch", counted)


def kill_in_write(monkeypatch, n, *, whole):
    """Die in the n-th write: half of the file is written, or all but its name."""
    write, done = _tensor_file.save_file, []

    def counted(arrays, path, metadata):
        write(arrays, path, metadata=metadata)
        done.append(1)
        if len(done) == n:
            if not whole:
                os.truncate(path, path.stat().st_size // 2)
            die()

    monkeypatch.setattr(_tensor_file, "save_file", counted)


KILLS = {
    "batch": kill_in_batch,
    "half": partial(kill_in_write, whole=False),
    "whole": partial(kill_in_write, whole=True),
    "never": lambda monkeypatch, n: None,
}


def run(name, folder, streams, kill, n):
    """Fit in a process of its own, to be killed on the way, and save what comes out."""
    torch.set_num_threads(1)  # as many as the fit that it is compared with has
    monkeypatch = pytest.MonkeyPatch()
    if streams:
        shrink(monkeypatch)
    KILLS[kill](monkeypatch, n)
    values = np.load(folder / "X.npy", mmap_mode="r" if streams else None)
    est = clone(METHODS[name]).set_params(checkpoint=folder / "kept", checkpoint_every=1)
    save(est.fit(values), folder / "fitted")


def in_a_process(*args):
    """Return the exit code of `run` in a new process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sslgex"])
    process = context.Process(target=run, args=args)
    process.start()
    process.join()
    return process.exitcode


def assert_same(one, other):
    """Both have the same bits, the seconds aside."""
    assert type(one.encoder_) is type(other.encoder_)
    for name, value in one.encoder_.state_dict().items():
        assert torch.equal(value, other.encoder_.state_dict()[name]), name
    assert np.array_equal(one.components_, other.components_)
    assert one.validation_loss_curve_ == other.validation_loss_curve_
    assert without_seconds(one) == without_seconds(other)


def without_seconds(est):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in est.history_]


class Killed(Exception):
    """Stands for the end of a process where a test needs no real one."""


def interrupted(est, X, n, monkeypatch, **fit):
    """Fit up to the n-th update of the weights."""
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "die", raise_killed)
        kill_in_batch(patch, n)
        with pytest.raises(Killed):
            est.fit(X, **fit)


def raise_killed():
    raise Killed


# ------------------------------------------------------------------------------ killed


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@each_method
@pytest.mark.parametrize("streams", [False, True], ids=["in memory", "on disk"])
def test_killed_again_and_again_the_encoder_is_that_of_one_run(name, streams, tmp_path):
    whole = clone(METHODS[name])
    with pytest.MonkeyPatch.context() as monkeypatch:
        if streams:
            shrink(monkeypatch)
        values = memmap(tmp_path, X)
        whole.fit(values if streams else X)
    n_epochs, n_batches = whole.n_iter_, 4
    rng = np.random.default_rng(list(map(ord, name)))
    # Before the first write, within a write, between writes, twice at one place.
    kills = [("batch", int(rng.integers(1, n_batches + 1))), ("half", 1), ("half", 2), ("whole", 2)]
    kills += [("batch", n_batches + int(rng.integers(1, n_batches + 1)))]
    for kill in kills:
        assert in_a_process(name, tmp_path, streams, *kill) == -signal.SIGKILL, kill
        assert not (tmp_path / "fitted").exists()
    assert in_a_process(name, tmp_path, streams, "never", 0) == 0
    assert_same(load(tmp_path / "fitted"), whole)
    # SCARF waits for a loss that never comes, and goes back to the weights of its first epoch.
    assert n_epochs == (5 if name == "scarf" else 6)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"X.npy", "kept", "fitted"}


def test_a_script_that_is_killed_goes_on_when_it_is_run_again(tmp_path):
    np.save(tmp_path / "X.npy", X)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        "import numpy as np, sslgex, torch\n"
        "torch.set_num_threads(1)\n"
        "from sslgex._training.engine import Engine\n"
        "train, left = Engine.train_batch, [int(sys.argv[1])]\n"
        "def counted(*args):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0:\n"
        "        os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
        "    train(*args)\n"
        "Engine.train_batch = counted\n"
        "est = sslgex.VimeTransformer((16,), decoder_sizes=(8,), architecture='mlp',\n"
        "    max_epochs=6, batch_size=256, dropout=0.1, random_state=0, device='cpu',\n"
        "    checkpoint='kept', checkpoint_every=1, verbose=1)\n"
        "sslgex.save(est.fit(np.load('X.npy')), 'fitted')\n"
    )
    outputs = []
    for n, fails in ((11, True), (13, True), (0, False)):
        done = subprocess.run(
            [sys.executable, script, str(n)], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode != 0) == fails, done.stderr
        outputs.append(done.stdout)
    assert "goes on after" not in outputs[0]
    assert "[VimeTransformer] goes on after epoch 2 of" in outputs[1]
    assert "[VimeTransformer] goes on after epoch 5 of" in outputs[2]
    assert outputs[2].count("epoch 6/6") == 1
    assert_same(load(tmp_path / "fitted"), clone(SMALL).fit(X))


# ------------------------------------------------------------------------------ what is kept


@each_method
def test_a_fit_with_a_checkpoint_is_the_fit_without(name, tmp_path):
    kept = clone(METHODS[name]).set_params(checkpoint=tmp_path / "kept").fit(X)
    assert_same(kept, clone(METHODS[name]).fit(X))


@each_method
def test_what_has_ended_returns_without_training(name, tmp_path, monkeypatch):
    est = clone(METHODS[name]).set_params(checkpoint=str(tmp_path / "kept"))
    first = clone(est).fit(X)
    monkeypatch.setattr(Engine, "train_batch", None)
    assert_same(est.fit(X), first)


@pytest.mark.parametrize("seed", [None, "instance"])
def test_without_a_seed_training_goes_on_with_its_own(seed, tmp_path, monkeypatch):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    fresh = {None: lambda: None, "instance": lambda: np.random.RandomState(3)}[seed]
    interrupted(est.set_params(random_state=fresh()), X, 11, monkeypatch)
    _, root = read_about(tmp_path / "kept")
    est.set_params(random_state=fresh()).fit(X)
    monkeypatch.setattr("sslgex._training.seeds.check_random_state", lambda _: Fixed(root))
    assert_same(est, clone(SMALL).fit(X))


class Fixed:
    """A RandomState that draws one number."""

    def __init__(self, number):
        self.number = number

    def randint(self, high):
        return self.number


def read_about(path):
    from sslgex._training.checkpoint import Checkpoint

    about = Checkpoint(path, 1, None).about
    return about, about["seed"]


@pytest.mark.parametrize(
    ("every", "written"), [(1, 6), (2, 3), (4, 2), (100, 1), ("1 hour", 1), ("0.000001 seconds", 6)]
)
def test_how_often_it_is_written(every, written, tmp_path, monkeypatch):
    write, paths = _tensor_file.save_file, []

    def counted(arrays, path, metadata):
        paths.append(path)
        write(arrays, path, metadata=metadata)

    monkeypatch.setattr(_tensor_file, "save_file", counted)
    clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=every).fit(X)
    assert len(paths) == written


def test_the_file_holds_no_samples(tmp_path):
    tall = np.tile(X, (20, 1))
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", max_epochs=1).fit(tall)
    objective = est._make_objective(est.encoder_, torch.Generator())
    weights = sum(w.numel() * w.element_size() for w in objective.state_dict().values())
    assert (tmp_path / "kept").stat().st_size < 4 * weights + 20_000 < tall.nbytes / 10


def test_where_it_is_kept_and_where_computed_may_change(tmp_path, monkeypatch):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    interrupted(est, X, 11, monkeypatch)
    os.rename(tmp_path / "kept", tmp_path / "moved")
    moved = {"checkpoint": tmp_path / "moved", "checkpoint_every": 3, "verbose": 1}
    est.set_params(**moved, device="auto" if not torch.cuda.is_available() else "cpu")
    assert_same(est.fit(X), clone(SMALL).fit(X))


# ------------------------------------------------------------------------------ refused


@pytest.fixture
def kept(tmp_path, monkeypatch):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    interrupted(est, X, 11, monkeypatch)
    return est


OTHER_DATA = {
    "a value": lambda: np.where(np.arange(X.size).reshape(X.shape) == 999, 1 + X, X),
    "rows in another order": lambda: X[::-1],
    "another type": lambda: X.astype(np.float64),
    "sparse": lambda: sp.csr_matrix(X),
}


@pytest.mark.parametrize("other", OTHER_DATA.values(), ids=OTHER_DATA)
def test_other_data_are_refused(other, kept):
    with pytest.raises(ValueError, match=r"is of another training: the values of X are others\. "):
        kept.fit(other())


@pytest.mark.parametrize("streams", [False, True])
def test_other_rows_are_refused(streams, tmp_path, monkeypatch):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    if streams:
        shrink(monkeypatch)
    interrupted(est, memmap(tmp_path, X), 11, monkeypatch)
    swapped = X.copy()
    swapped[[500, 501]] = X[[501, 500]]  # the same statistics
    with pytest.raises(ValueError, match="the values of X are others"):
        est.fit(memmap(tmp_path, swapped))
    words = r"samples was 1000 and is 900; the values.*Fit with what .* delete it .* another file"
    with pytest.raises(ValueError, match=words):
        est.fit(memmap(tmp_path, X[:900]))
    est.fit(memmap(tmp_path, X))


OTHER_LAYOUT = {  # of the same bytes, in the same order
    "other blocks": lambda folder: hdf5(folder, X, chunks=(30, 40)),
    "another type": lambda folder: np.load(folder / "X.npy", mmap_mode="r").view(np.int32),
}


@few_blocks
@pytest.mark.parametrize("other", OTHER_LAYOUT.values(), ids=OTHER_LAYOUT)
def test_the_same_bytes_stored_in_another_way_are_refused(other, tmp_path, monkeypatch):
    """Batches are mixed from other blocks: the encoder would be that of neither run."""
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    shrink(monkeypatch)
    interrupted(est, memmap(tmp_path, X), 11, monkeypatch)
    with pytest.raises(ValueError, match="another training: X lies on disk in another way"):
        est.fit(other(tmp_path))
    with pytest.raises(ValueError, match="another training: X lies on disk in another way"):
        est.fit(memmap(tmp_path, X)[:503], X_unlabeled=[X[503:]])


def test_other_unlabelled_samples_and_names_are_refused(kept):
    with pytest.raises(ValueError, match=r"number of samples was 1000 and is 1050; the values"):
        kept.fit(X, X_unlabeled=[X[:50]])
    with pytest.raises(ValueError, match="another training: the names of the genes are others"):
        kept.fit(pd.DataFrame(X, columns=[f"g{j}" for j in range(X.shape[1])]))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"lr": 0.1}, r"lr was 0\.001 and is 0\.1"),
        ({"hidden_layer_sizes": (8, 8)}, r"hidden_layer_sizes was \[16\] and is \[8, 8\]"),
        ({"max_epochs": 7}, "max_epochs was 6 and is 7"),
        ({"random_state": 1}, "random_state gives another seed"),
    ],
)
def test_other_parameters_are_refused(params, said, kept):
    before = kept.checkpoint.read_bytes()
    with pytest.raises(ValueError, match=f"another training: {said}"):
        kept.set_params(**params).fit(X)
    assert kept.checkpoint.read_bytes() == before


def test_another_method_and_other_versions_are_refused(kept, monkeypatch):
    other = clone(METHODS["byol"]).set_params(checkpoint=kept.checkpoint)
    with pytest.raises(ValueError, match=r"class was 'sslgex\.vime\.VimeT.*ByolTransformer"):
        other.fit(X)
    monkeypatch.setattr(torch, "__version__", "99.0")
    with pytest.raises(ValueError, match=r"version of torch was .* and is '99\.0'"):
        kept.fit(X)


def test_a_refused_fit_leaves_a_fitted_estimator_as_it_was(kept):
    kept.fit(X)
    Z = kept.transform(X)
    with pytest.raises(ValueError, match="another training"):
        kept.fit(X[:500])
    assert np.array_equal(kept.transform(X), Z)


@pytest.mark.parametrize("cut", [0, 50, 0.5, -1])
def test_a_damaged_file_is_refused(cut, kept):
    content = kept.checkpoint.read_bytes()
    kept.checkpoint.write_bytes(content[: int(cut * len(content)) if cut == 0.5 else cut])
    with pytest.raises(ValueError, match=r"kept is not a readable.*Delete it"):
        kept.fit(X)


def test_another_file_is_refused(tmp_path):
    save(clone(SMALL).fit(X), tmp_path / "fitted")
    with pytest.raises(ValueError, match="fit with checkpoint= did not write it"):
        clone(SMALL).set_params(checkpoint=tmp_path / "fitted").fit(X)
    clone(SMALL).set_params(checkpoint=tmp_path / "kept").fit(X)
    with pytest.raises(ValueError, match=r"sslgex\.save did not write it"):
        load(tmp_path / "kept")


@pytest.mark.parametrize("where", ["nowhere/kept", ""])
def test_a_place_that_cannot_be_written_is_an_error_at_once(where, tmp_path, monkeypatch):
    monkeypatch.setattr(Engine, "train_batch", None)
    with pytest.raises(ValueError, match=r"checkpoint='.*' cannot be written: .*Name a file"):
        clone(SMALL).set_params(checkpoint=tmp_path / where).fit(X)


def test_a_full_disk_is_a_warning(kept, monkeypatch):
    before = kept.checkpoint.read_bytes()

    def full(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_tensor_file, "save_file", full)
    with pytest.warns(UserWarning, match=r"No checkpoint, training goes on: .*No space left"):
        fitted = kept.fit(X)
    assert_same(fitted, clone(SMALL).fit(X))
    assert kept.checkpoint.read_bytes() == before
    assert os.listdir(kept.checkpoint.parent) == ["kept"]


# ------------------------------------------------------------------------------ several fits


def test_two_fits_at_once_are_noticed(tmp_path, monkeypatch):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    train, batches = Engine.train_batch, []

    def beside(self, *args):
        batches.append(1)
        if len(batches) == 6:  # in the second epoch
            clone(SMALL).set_params(checkpoint=tmp_path / "other", max_epochs=1).fit(X)
            os.replace(tmp_path / "other", tmp_path / "kept")
        train(self, *args)

    monkeypatch.setattr(Engine, "train_batch", beside)
    with pytest.raises(ValueError, match=r"written by another fit since(?s:.*)two files"):
        est.fit(X)


def test_the_folds_of_a_cross_validation_cannot_share_a_file(tmp_path):
    y = (X[:, 0] > 3).astype(int)
    encoder = clone(SMALL).set_params(checkpoint=tmp_path / "kept", max_epochs=1)
    steps = make_pipeline(SSLClassifier(encoder, mode="frozen", head="linear", random_state=0))
    with pytest.raises(ValueError, match="another training"):
        cross_val_score(steps, X[:200], y[:200], cv=2, error_score="raise")


def test_a_sweep_refuses_checkpoints_and_its_cache_does_not_depend_on_them(tmp_path):
    from sslgex.evaluation import label_efficiency_curve
    from sslgex.evaluation._identity import identity

    y = (X[:, 0] > 3).astype(int)
    there = clone(SMALL).set_params(checkpoint=tmp_path / "kept", checkpoint_every=3)
    with pytest.raises(ValueError, match=r"'vime' has a VimeTransformer with checkpoint=.*cache="):
        label_efficiency_curve({"vime": SSLClassifier(there)}, X, y, label_sizes=[50])
    assert identity(there) == identity(clone(SMALL))
    assert identity(there) != identity(clone(there).set_params(lr=0.1))


def test_an_estimator_with_a_checkpoint_is_saved(tmp_path):
    est = clone(SMALL).set_params(checkpoint=tmp_path / "kept", max_epochs=1).fit(X)
    save(est, tmp_path / "fitted")
    assert load(tmp_path / "fitted").checkpoint == str(tmp_path / "kept")
