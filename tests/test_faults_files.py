"""Faults of files: killed in a write, a full disk, two writers, old, future and malicious files."""

import gzip
import io
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import sys
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import zarr
from expression_files import read
from on_disk import X, hdf5
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sslgex import SSLClassifier, VimeTransformer, _writing, load, save
from sslgex.datasets import cache_rows
from sslgex.evaluation import label_efficiency_curve

DATA = Path(__file__).parent / "data"
LEFT = re.compile(r"\.(fitted|Z\.npy|rows\.npy|kept)\.[0-9a-f]{8}\.partial")  # by a kill
needs_sigkill = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"
)
HOW = {"max_epochs": 2, "batch_size": 256, "random_state": 0, "device": "cpu"}
SMALL = VimeTransformer((16,), decoder_sizes=(8,), architecture="mlp", **HOW)


@pytest.fixture(scope="module")
def two():
    """Return two fitted estimators."""
    return clone(SMALL).fit(X), clone(SMALL).set_params(random_state=1).fit(X)


def is_one_of(path, estimators):
    """Tell which of the estimators a file holds, or fail."""
    Z = load(path).transform(X[:5])
    return [bool((e.transform(X[:5]) == Z).all()) for e in estimators].index(True)


# ------------------------------------------------------------------------------ killed


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


WRITES = {
    "fitted": lambda est, folder: save(est, folder / "fitted"),
    "Z.npy": lambda est, folder: est.transform(X, out=folder / "Z.npy"),
    "rows.npy": lambda est, folder: cache_rows(np.load(folder / "X", "r"), folder / "rows.npy"),
}


def write_and_die(name, est, folder, where):
    if where == "after 2 kB":  # by the system, wherever that is written
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource = pytest.importorskip("resource")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    else:
        setattr(_writing.os, where, die)
    WRITES[name](est, folder)


@needs_sigkill
@pytest.mark.parametrize(
    ("name", "where"),
    [(name, where) for name in WRITES for where in ("after 2 kB", "fsync", "replace")],
)
def test_killed_in_a_write_the_old_file_is_whole(name, where, two, tmp_path):
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "X.npy").rename(tmp_path / "X")
    WRITES[name](two[0], tmp_path)
    expected = (tmp_path / name).read_bytes()
    process = in_a_process(write_and_die, name, two[0], tmp_path, where)
    killed_by = signal.SIGXFSZ if where == "after 2 kB" else signal.SIGKILL
    assert process.exitcode == -killed_by
    assert (tmp_path / name).read_bytes() == expected
    (left,) = {path.name for path in tmp_path.iterdir()} - {"X", name}
    assert LEFT.fullmatch(left)
    WRITES[name](two[1], tmp_path)  # and what is left is in nobody's way
    assert {path.name for path in tmp_path.iterdir()} == {"X", name, left}


def in_a_process(function, *args):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sslgex"])
    process = context.Process(target=function, args=args)
    process.start()
    process.join()
    return process


def save_for_ever(estimators, folder):
    torch.set_num_threads(1)
    while True:
        for est in estimators:
            save(est, folder / "fitted")


@needs_sigkill
def test_killed_at_any_moment_the_file_is_one_of_those_saved(two, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sslgex"])
    rng = np.random.default_rng(0)
    for _ in range(8):
        (tmp_path / "fitted").unlink(missing_ok=True)
        process = context.Process(target=save_for_ever, args=(two, tmp_path))
        process.start()
        while not (tmp_path / "fitted").exists():
            assert process.is_alive()
        process.join(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        is_one_of(tmp_path / "fitted", two)
    assert all(LEFT.fullmatch(path.name) for path in tmp_path.iterdir() if path.name != "fitted")


STUDY = """
import os, signal, sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sslgex import SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression
from sslgex.evaluation import label_efficiency_curve

FITS = Path("fits")


class Counted(LogisticRegression):
    def fit(self, X, y):
        with FITS.open("a") as file:
            file.write("fit\\n")
        if len(FITS.read_text().split()) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


if __name__ == "__main__":
    X, y = make_expression(n_samples=60, n_genes=20, return_X_y=True, random_state=0)
    encoder = VimeTransformer((8,), decoder_sizes=(4,), max_epochs=1)
    entries = {"alone": Counted(), "frozen": SSLClassifier(encoder, mode="frozen", head=Counted())}
    results = label_efficiency_curve(
        entries, X, y, label_sizes=[10, 20], n_draws=2, cv=2, random_state=0,
        cache=sys.argv[1] or None,
    )
    found = {name: [part.tolist() for split in splits for part in split]
             for name, splits in results.outcomes.items()}
    Path("outcomes").write_text(repr(found))
"""


@needs_sigkill
def test_a_sweep_killed_again_and_again_computes_only_what_is_missing(tmp_path):
    (tmp_path / "study.py").write_text(STUDY)

    def run(cache, kill_at):
        """Return how many fits were begun."""
        (tmp_path / "fits").write_text("")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "study.py", cache, str(kill_at)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stderr
        return len((tmp_path / "fits").read_text().split())

    whole = run("", 0)
    outcomes = (tmp_path / "outcomes").read_text()
    (tmp_path / "outcomes").unlink()
    assert run("cache", 3) == 3  # the third is lost with the process
    assert run("cache", 6) == 6
    assert run("cache", 0) == whole - 2 - 5
    assert (tmp_path / "outcomes").read_text() == outcomes
    assert run("cache", 0) == 0


# ------------------------------------------------------------------------------ a full disk


@contextmanager
def limited(folder):
    """Let no file grow beyond 2 kB, as a quota does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def filled(folder):
    """Mount a file system of 64 kB and fill it but for 4 kB."""
    how = ["mount", "-t", "tmpfs", "-o", "size=64k", "sslgex-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(how, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        (folder / "ballast").write_bytes(b"x" * (shutil.disk_usage(folder).free - 8_192))
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(params=[limited, filled])
def full(request, tmp_path):
    """Return a context manager in whose folder there is room for hardly anything."""
    (tmp_path / "disk").mkdir()
    return lambda: request.param(tmp_path / "disk")


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.name != "ballast")


def test_on_a_full_disk_nothing_is_changed_and_the_bytes_are_told(full, two, tmp_path):
    values = hdf5(tmp_path, X)
    acts = {
        "fitted": (lambda path: save(two[0], path), 9_000),
        "Z.npy": (lambda path: two[0].transform(X, out=path), 64_000),
        "rows.npy": (lambda path: cache_rows(values, path), X.nbytes),
    }
    with full() as folder:
        for name, (act, least) in acts.items():
            (folder / name).write_bytes(b"old")
            with pytest.raises(OSError, match=rf"{folder}/{name} could not be written") as info:
                act(folder / name)
            text = str(info.value)
            assert re.search(r"(File too large|No space left on device)", text), text
            told = re.search(r"It takes ([\d,]+) bytes, and [\d,]+ are free there", text)
            assert least <= int(told[1].replace(",", "")) < 2 * least + 10_000
            assert "Nothing was changed. Free some space" in text
            assert (folder / name).read_bytes() == b"old"
            assert files(folder) == [name]
            (folder / name).unlink()


def test_on_a_full_disk_training_goes_on_without_a_checkpoint(full, two):
    with full() as folder:
        est = clone(SMALL).set_params(checkpoint=folder / "kept", checkpoint_every=1)
        with pytest.warns(
            UserWarning, match="No checkpoint, training goes on: .*Free some"
        ) as told:
            est.fit(X)
        assert len(told) == 2  # one an epoch
        assert files(folder) == []
    assert np.array_equal(est.transform(X), two[0].transform(X))


def test_on_a_full_disk_a_sweep_goes_on_without_its_cache(full):
    y = (X[:60, 0] > 3).astype(int)
    entries = {"frozen": SSLClassifier(clone(SMALL), mode="frozen", head=LogisticRegression())}
    how = {"label_sizes": [10], "n_draws": 1, "cv": 2, "random_state": 0}
    with full() as folder:
        with pytest.warns(UserWarning, match=r"could not be kept in .*The sweep goes on"):
            found = label_efficiency_curve(entries, X[:60], y, cache=folder, **how)
        assert not [name for name in files(folder) if name.endswith(".part")]
    wanted = label_efficiency_curve(entries, X[:60], y, **how)
    for one, other in zip(found.outcomes["frozen"], wanted.outcomes["frozen"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_what_is_no_file_is_not_replaced(name, two, tmp_path):
    """As root, `save(clf, "/dev/null")` left the machine with a file of that name."""
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "X.npy").rename(tmp_path / "X")
    os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=rf"{name} could not be written: it is no ordinary file"):
        WRITES[name](two[0], tmp_path)
    assert (tmp_path / name).is_fifo()


# ------------------------------------------------------------------------------ two writers


def save_often(est, path, n):
    torch.set_num_threads(1)
    for _ in range(n):
        save(est, path)


def test_two_processes_that_save_to_one_path_leave_one_of_the_two(two, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sslgex"])
    path = tmp_path / "fitted"
    save(two[0], path)
    writers = [context.Process(target=save_often, args=(est, path, 150)) for est in two]
    for writer in writers:
        writer.start()
    seen = [is_one_of(path, two)]
    while any(writer.is_alive() for writer in writers):
        seen.append(is_one_of(path, two))
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert set(seen) == {0, 1}
    is_one_of(path, two)
    assert os.listdir(tmp_path) == ["fitted"]


def test_two_threads_that_save_to_one_path_leave_one_of_the_two(two, tmp_path):
    """They had the same name for what they wrote."""
    path = tmp_path / "fitted"
    joblib.Parallel(2, backend="threading")(
        joblib.delayed(save)(est, path) for _ in range(50) for est in two
    )
    is_one_of(path, two)
    assert os.listdir(tmp_path) == ["fitted"]


@pytest.mark.skipif(sys.platform == "win32", reason="of Unix's permissions")
def test_a_file_can_be_read_by_those_who_may_read_the_users_files(two, tmp_path):
    (tmp_path / "ordinary").touch()
    save(two[0], tmp_path / "fitted")
    modes = {(tmp_path / name).stat().st_mode for name in ("ordinary", "fitted")}
    assert len(modes) == 1


# ------------------------------------------------------------------------------ other versions


SAVED = sorted(DATA.glob("saved-*/*.safetensors"))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_what_an_older_version_saved_predicts_what_it_did(path):
    """Made by tools/build_saved_fixtures.py of that version, and never to be made anew."""
    with np.load(path.parent / "results.npz") as results:
        found = load(path)
        predict = getattr(found, "predict_proba", found.transform)
        np.testing.assert_allclose(predict(results["X"]), results[path.stem], rtol=1e-4, atol=1e-5)


def test_there_are_files_of_older_versions():
    assert {path.stem for path in SAVED} == {"scarf", "vime", "byol", "frozen", "unfrozen"}


def test_a_file_of_a_version_to_come_asks_for_an_upgrade(tmp_path):
    content = SAVED[0].read_bytes()
    assert content.count(b'"format_version":"1"') == 1
    newer = content.replace(b'"format_version":"1"', b'"format_version":"2"')
    (tmp_path / "newer").write_bytes(newer)
    with pytest.raises(ValueError, match=r"newer has format version 2.*reads up to 1\. Upgrade"):
        load(tmp_path / "newer")


# ------------------------------------------------------------------------------ malicious


class Bomb:
    """What makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def dumped(write, thing, *args, **kwargs):
    buffer = io.BytesIO()
    write(thing, buffer, *args, **kwargs)
    return buffer.getvalue()


def saved_array(thing, buffer):
    np.save(buffer, np.array([thing], dtype=object), allow_pickle=True)


def header(promised):
    text = json.dumps(promised).encode()
    return struct.pack("<Q", len(text)) + text


MALICIOUS = {
    **{f"pickle {p}": lambda bomb, p=p: pickle.dumps(bomb, p) for p in range(6)},
    "pickle, gzip": lambda bomb: gzip.compress(pickle.dumps(bomb)),
    "joblib": lambda bomb: dumped(joblib.dump, {"a": bomb, "b": np.zeros(9)}),
    "joblib, zlib": lambda bomb: dumped(joblib.dump, bomb, compress=("zlib", 3)),
    "joblib, gzip": lambda bomb: dumped(joblib.dump, bomb, compress=("gzip", 3)),
    "joblib, xz": lambda bomb: dumped(joblib.dump, bomb, compress=("xz", 3)),
    "torch": lambda bomb: dumped(torch.save, {"a": bomb}),
    "torch, before 1.6": lambda bomb: dumped(
        torch.save, {"a": bomb}, _use_new_zipfile_serialization=False
    ),
    "npy": lambda bomb: dumped(saved_array, bomb),
    "header of an exabyte": lambda bomb: struct.pack("<Q", 2**60) + b"{}",
    "tensor of a terabyte": lambda bomb: header(
        {"a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}
    ),
    "tensor of more than there is": lambda bomb: header(
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}
    ),
    "zeros": lambda bomb: zlib.compress(bytes(10**7)),
}


KNOWN = {*(f"pickle {p}" for p in range(2, 6)), "joblib", "torch", "torch, before 1.6"}


@pytest.mark.parametrize("name", MALICIOUS)
@pytest.mark.parametrize("reader", [load, read])
def test_a_malicious_file_is_refused_and_nothing_is_run(reader, name, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(MALICIOUS[name](Bomb(tmp_path / "exploded")))
    words = "is not a readable safetensors file"
    if name in KNOWN:
        words = "is a pickle"
    if reader is read:
        words = "is a pickle|first bytes are|zip archive|no text|single column|a header"
    with pytest.raises(ValueError, match=rf"{path}.*({words})"):
        reader(path)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("part", ["compressor", "filters"])
def test_a_zarr_store_with_a_pickle_for_a_codec_is_refused(part, tmp_path):
    """Which versions of zarr before 3 unpickle."""
    store = tmp_path / "x.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.create_array(store, shape=(3, 4), dtype="f4", zarr_format=2)[:] = np.ones((3, 4))
    codec = {"id": "pickle", "protocol": 4}
    metadata = json.loads((store / ".zarray").read_text())
    metadata[part] = codec if part == "compressor" else [codec]
    (store / ".zarray").write_text(json.dumps(metadata))
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / "0.0").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(ValueError, match=r"x\.zarr holds a pickle: \.zarray names it as a codec"):
        read(store)
    assert not (tmp_path / "exploded").exists()


def test_the_bomb_goes_off_where_it_is_unpickled(tmp_path):
    """Or the tests above would see nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded")))
    assert (tmp_path / "exploded").exists()
