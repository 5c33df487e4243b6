"""`save` and `load`: complete, safe, and clear about what is wrong with a file."""

import json
import os
import pickle
import struct
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC

from sslgex import (
    ByolTransformer,
    ScarfTransformer,
    SSLClassifier,
    VimeTransformer,
    _tensor_file,
    load,
    save,
)
from sslgex.datasets import make_expression

METHODS = [
    ScarfTransformer((12, 8), max_epochs=2, random_state=0),
    VimeTransformer((12, 8), max_epochs=2, random_state=0),
    ByolTransformer(
        (12, 8), max_epochs=2, projection_sizes=(8,), prediction_sizes=(8,), random_state=0
    ),
]


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=60, n_genes=80, return_X_y=True, random_state=0)


@pytest.fixture
def scarf(data):
    return clone(METHODS[0]).fit(data[0])


@pytest.fixture
def saved(scarf, tmp_path):
    path = tmp_path / "scarf.safetensors"
    save(scarf, path)
    return path


@pytest.mark.parametrize("estimator", METHODS, ids=lambda e: type(e).__name__)
def test_a_pretrainer_comes_back_with_the_same_bits(estimator, data, tmp_path):
    X = pd.DataFrame(data[0], columns=[f"G{i}" for i in range(80)])
    fitted = clone(estimator).set_output(transform="pandas").fit(X)
    save(fitted, tmp_path / "file")
    loaded = load(tmp_path / "file")
    assert type(loaded) is type(fitted)
    pd.testing.assert_frame_equal(loaded.transform(X), fitted.transform(X), check_exact=True)
    assert loaded.get_params() == fitted.get_params()
    assert list(loaded.feature_names_in_) == list(X.columns)
    assert loaded.loss_curve_ == fitted.loss_curve_
    assert loaded.history_ == fitted.history_


@pytest.mark.parametrize("copy", [lambda e, p: pickle.loads(pickle.dumps(e)), "joblib"])
def test_pickle_and_joblib_give_the_same_bits(copy, scarf, data, tmp_path):
    if copy == "joblib":
        joblib.dump(scarf, tmp_path / "file")
        loaded = joblib.load(tmp_path / "file")
    else:
        loaded = copy(scarf, tmp_path)
    np.testing.assert_array_equal(loaded.transform(data[0]), scarf.transform(data[0]))


# How labels are written has nothing to do with the head, whose parts are written alike.
@pytest.mark.parametrize(
    ("labels", "mode", "head"),
    [
        *((labels, "frozen", "linear") for labels in (int, bool, str, object)),
        (str, "frozen", "pooled"),
        (object, "unfrozen", "pooled"),
        (int, "unfrozen", "linear"),
        (bool, "frozen", "sgd"),
    ],
)
def test_a_classifier_comes_back_with_the_same_bits(labels, mode, head, data, scarf, tmp_path):
    X, y = data
    y = {
        int: y,
        bool: y > 1,
        str: np.array(["Basal", "Her2", "LumA", "LumB"])[y],
        object: np.array(["Basal", "Her2", "LumA", "LumB"], dtype=object)[y],
    }[labels]
    how = {"mode": mode, "head": head, "max_epochs": 2, "random_state": 0}
    clf = SSLClassifier(scarf, **how).fit(X, y)
    save(clf, tmp_path / "file")
    loaded = load(tmp_path / "file")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))
    assert loaded.classes_.dtype == clf.classes_.dtype
    # The loaded classifier is a whole one: its encoder survives a clone and it can be fitted.
    again = clone(loaded).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_labels_of_another_order_of_bytes_are_saved(data, scarf, tmp_path):
    """The file keeps the least byte first; it was refused as damaged when it was read."""
    X, y = data
    clf = SSLClassifier(scarf, mode="frozen", head="linear", random_state=0).fit(X, y.astype(">i4"))
    save(clf, tmp_path / "file")
    np.testing.assert_array_equal(load(tmp_path / "file").predict(X), clf.predict(X))


@pytest.mark.parametrize("encoder", [None, METHODS[0]])
def test_classifiers_of_unfitted_encoders_are_saved(encoder, data, tmp_path):
    how = {"hidden_layer_sizes": (8,), "max_epochs": 2, "head": "linear", "random_state": 0}
    clf = SSLClassifier(encoder, **how).fit(*data)
    save(clf, tmp_path / "file")
    np.testing.assert_array_equal(
        load(tmp_path / "file").predict_proba(data[0]), clf.predict_proba(data[0])
    )


def test_a_frozen_classifier_stores_the_shared_weights_once(data, scarf, tmp_path):
    wide = ScarfTransformer((256,), max_epochs=1, random_state=0).fit(data[0])
    clf = SSLClassifier(FrozenEstimator(wide), mode="frozen", random_state=0).fit(*data)
    save(wide, tmp_path / "encoder")
    save(clf, tmp_path / "classifier")
    sizes = [(tmp_path / name).stat().st_size for name in ("encoder", "classifier")]
    assert sizes[1] < 1.5 * sizes[0]


def test_another_process_reads_the_file(saved, scarf, data, tmp_path):
    np.save(tmp_path / "X.npy", data[0])
    code = (
        "import numpy as np, sslgex, sys\n"
        "Z = sslgex.load(sys.argv[1]).transform(np.load(sys.argv[2] + '/X.npy'))\n"
        "np.save(sys.argv[2] + '/Z.npy', Z)"
    )
    subprocess.run([sys.executable, "-c", code, saved, tmp_path], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), scarf.transform(data[0]))


def test_an_encoder_fitted_on_a_gpu_embeds_on_the_cpu(data, scarf, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has the GPU that the test wants missing")
    wanted = scarf.transform(data[0])
    scarf.set_params(device="cuda")  # as it comes from a machine that has one
    save(scarf, tmp_path / "file")
    for loaded in (load(tmp_path / "file"), pickle.loads(pickle.dumps(scarf))):
        with pytest.warns(UserWarning, match="using the CPU"):
            np.testing.assert_array_equal(loaded.transform(data[0]), wanted)


def test_a_random_state_instance_is_saved_as_none_with_a_warning(data, tmp_path):
    fitted = clone(METHODS[0]).set_params(random_state=np.random.RandomState(0)).fit(data[0])
    with pytest.warns(UserWarning, match="RandomState"):
        save(fitted, tmp_path / "file")
    loaded = load(tmp_path / "file")
    assert loaded.random_state is None
    np.testing.assert_array_equal(loaded.transform(data[0]), fitted.transform(data[0]))


def test_unfitted_estimators_are_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save(METHODS[0], tmp_path / "file")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda X, y, e: PCA(2).fit(X), "the estimator is a PCA"),
        (
            lambda X, y, e: SSLClassifier(PCA(2), mode="frozen", head="linear").fit(X, y),
            "SSLClassifier.encoder is a PCA",
        ),
        (
            lambda X, y, e: SSLClassifier(e, mode="frozen", head=SVC()).fit(X, y),
            "SSLClassifier.head is a SVC",
        ),
    ],
)
def test_parts_of_other_packages_are_refused_by_name(make, part, data, scarf, tmp_path):
    with pytest.raises(TypeError, match=f"{part}.*joblib"):
        save(make(*data, scarf), tmp_path / "file")
    assert not os.listdir(tmp_path)


def test_a_missing_directory_is_named(scarf, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no directory .*nowhere"):
        save(scarf, tmp_path / "nowhere" / "file")


def test_a_failed_write_leaves_the_old_file(saved, scarf, data, monkeypatch):
    before = saved.read_bytes()

    def full(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_tensor_file, "save_file", full)
    with pytest.raises(OSError, match=r"No space left.*Nothing was changed"):
        save(scarf, saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_a_truncated_file_is_refused(keep, saved):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match="truncated"):
        load(saved)


@pytest.mark.parametrize("where", [0.2, 0.5, 0.999])
def test_a_flipped_bit_anywhere_is_noticed(where, saved):
    content = bytearray(saved.read_bytes())
    content[int(where * len(content))] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load(saved)


def test_a_text_file_and_a_foreign_file_are_refused(tmp_path):
    (tmp_path / "text").write_text("gene\tsample\n" * 100)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(tmp_path / "text")
    save_file({"weights": np.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(ValueError, match=r"sslgex\.save did not write it"):
        load(tmp_path / "foreign")


def test_pickles_are_refused_unread(tmp_path, scarf):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    (tmp_path / "pickle").write_bytes(pickle.dumps(Bomb()))
    torch.save({"a": torch.zeros(1)}, tmp_path / "torch")
    for name in ("pickle", "torch"):
        with pytest.raises(ValueError, match="is a pickle"):
            load(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def forge(path, change):
    """Rewrite a file's metadata, with a checksum that fits."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = dict(file.metadata())
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content = json.loads(metadata["content"])
    change(metadata, content)
    metadata["content"] = json.dumps(content)
    metadata["sha256"] = _tensor_file.digest(metadata["content"], arrays)
    save_file(arrays, path, metadata=metadata)


def test_a_header_whose_length_looks_like_a_pickle_is_read(saved, scarf, data):
    # Pickles start with the byte 0x80, and so does every 32nd safetensors file.
    for n in range(1000):
        forge(saved, lambda metadata, content, n=n: metadata.update(padding="x" * n))
        if saved.read_bytes()[:1] == b"\x80":
            break
    else:
        pytest.fail("no padding gave the byte")
    np.testing.assert_array_equal(load(saved).transform(data[0]), scarf.transform(data[0]))


def test_a_newer_file_asks_for_an_upgrade(saved):
    forge(saved, lambda metadata, content: metadata.update(format_version="2"))
    with pytest.raises(ValueError, match=r"format version 2.*Upgrade"):
        load(saved)


@pytest.mark.parametrize("name", ["Popen", "subprocess.Popen", "Pipeline", "BaseSSLTransformer"])
def test_a_class_outside_the_list_is_refused(name, saved):
    forge(saved, lambda metadata, content: content["estimator"].update({"class": name}))
    with pytest.raises(ValueError, match=f"names the class '{name}'"):
        load(saved)


def test_state_that_would_replace_a_method_is_refused(saved):
    forge(saved, lambda m, content: content["estimator"]["state"].update(transform="x"))
    with pytest.raises(ValueError, match="'transform'"):
        load(saved)


def test_unknown_parameters_are_a_clear_error(saved):
    forge(saved, lambda m, content: content["estimator"]["params"].update(colour="x"))
    with pytest.raises(ValueError, match="does not describe an estimator"):
        load(saved)


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="truncated"):
        load(tmp_path / "file")
