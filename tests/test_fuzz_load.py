"""`load` of files changed at random: an estimator, or an error of ours that names the file."""

import json
import struct

import numpy as np
import pytest
from fuzzing import changed_bytes, changed_tree, inputs, only_our_errors, seeds
from hypothesis import given
from safetensors import safe_open
from safetensors.numpy import save_file

from sslgex import ScarfTransformer, SSLClassifier, VimeTransformer, _tensor_file, load, save
from sslgex.datasets import make_expression
from sslgex.persistence import CLASSES

LONG = "U500000000"  # of one value, 2 GB
VALUES = [
    *(None, True, 0, 1, -1, 2**63, 2**70, 1.5, float("nan"), "", "O", LONG, "<f8", "(3,)f8", "M8"),
    *([], {}, [[]], [1, 2], {"tuple": []}, {"dict": [[1]]}, {"dict": [[[], 1]]}, {"dict": 5}),
    *({"tuple": 5}, {"array": "nope"}, {"array": []}, {"values": ["a"], "dtype": LONG}),
    *({"values": 5, "dtype": "O"}, {"values": [[1], [2, 3]], "dtype": "<U3"}),
    *({"encoder": {}, "dropout": 0.0}, {"encoder": 5, "dropout": None}, {"class": []}),
    *({"class": name, "params": {}, "state": {}} for name in (*CLASSES, "Popen")),
]
ARRAYS = [np.zeros(shape, np.float32) for shape in [(), (0,), (3,), (2, 2), (1, 1, 1), (100_000,)]]
TYPES = [np.float64, np.float16, np.int8, np.uint64, bool]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return files of encoders and classifiers of both architectures: bytes, content, arrays."""
    X, y = make_expression(n_samples=28, n_genes=12, return_X_y=True, random_state=0)
    words = np.array(["a", "b"], dtype=object)[(y > 1).astype(int)]
    how = {"max_epochs": 1, "random_state": 0}
    residual = ScarfTransformer((8,), projection_sizes=(4,), **how).fit(X)
    mlp = VimeTransformer((8, 4), decoder_sizes=(4,), architecture="mlp", **how).fit(X)
    files = []
    for fitted in (
        residual,
        mlp,
        SSLClassifier(residual, mode="frozen", random_state=0).fit(X, words),
        SSLClassifier(mlp, mode="unfrozen", head="linear", **how).fit(X, y > 1),
    ):
        path = tmp_path_factory.mktemp("saved") / "file"
        save(fitted, path)
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata())
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        files.append((path.read_bytes(), json.loads(metadata["content"]), arrays))
    return files


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "changed.safetensors"


def forge(path, content, arrays):
    """Write a file whose checksum fits, whatever its content."""
    text = json.dumps(content)
    metadata = {
        "format": "sslgex",
        "format_version": "1",
        "content": text,
        "sha256": _tensor_file.digest(text, arrays),
    }
    save_file(arrays, path, metadata=metadata)


def check(path):
    with only_our_errors(path):
        assert type(load(path)).__name__ in CLASSES


@inputs(2_500)
@given(rng=seeds)
def test_bytes(rng, saved, path):
    path.write_bytes(changed_bytes(rng, rng.choice(saved)[0]))
    check(path)


@inputs(1_500)
@given(rng=seeds)
def test_the_header(rng, saved, path):
    """Names, types, shapes and places of the tensors, and the metadata, are others."""
    content = rng.choice(saved)[0]
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.dumps(changed_tree(rng, json.loads(content[8:start]), VALUES)).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[start:])
    check(path)


@inputs(2_500)
@given(rng=seeds)
def test_the_content_under_a_checksum_that_fits(rng, saved, path):
    _, content, arrays = rng.choice(saved)
    for _ in range(rng.randint(1, 2)):
        content = changed_tree(rng, content, VALUES)
    forge(path, content, arrays)
    check(path)


@inputs(1_000)
@given(rng=seeds)
def test_arrays_under_a_checksum_that_fits(rng, saved, path):
    _, content, arrays = rng.choice(saved)
    arrays = dict(arrays)
    for _ in range(rng.randint(1, 2)):
        name, other = (rng.choice(list(arrays)) for _ in "ab")
        arrays[name] = rng.choice(
            [arrays[other], arrays[name].astype(rng.choice(TYPES)), rng.choice(ARRAYS)]
        )
        if rng.random() < 0.2 and len(arrays) > 1:
            del arrays[name]
    forge(path, content, arrays)
    check(path)


# What came out, and what chance does not find.


def edited(saved, path, edit, i=1):
    _, content, arrays = saved[i]
    content, arrays = json.loads(json.dumps(content)), dict(arrays)
    edit(content, arrays)
    forge(path, content, arrays)


def test_a_text_that_says_it_is_large_takes_no_room(saved, path):
    def edit(content, arrays):
        content["estimator"]["state"]["n_iter_"] = {"values": ["a"], "dtype": LONG}

    edited(saved, path, edit)
    with pytest.raises(ValueError, match=r"not describe an estimator.*1 values of dtype 'U5000000"):
        load(path)


def test_many_texts_take_no_more_room_than_one(saved, path, monkeypatch):
    """Each was looked at by itself: a thousand in a file of 60 kB took 250 GB."""
    monkeypatch.setattr(_tensor_file, "LARGEST_TEXT", 2**16)
    many = [{"values": ["a"], "dtype": "U5000"}] * 3  # 20 kB each

    def edit(content, arrays):
        content["estimator"]["state"]["n_iter_"] = many

    edited(saved, path, edit)
    load(path)
    many.append(many[0])
    edited(saved, path, edit)
    with pytest.raises(ValueError, match=r"not describe an estimator.*dtype 'U5000' are not read"):
        load(path)


def test_many_encoders_take_no_more_room_than_some(saved, path):
    """They may all be of the same tensors, which the file holds once."""

    def edit(content, arrays):
        state = content["estimator"]["state"]
        state["n_iter_"] = [state["encoder_"]] * 100

    edited(saved, path, edit)
    with pytest.raises(ValueError, match=r"describe an estimator .*more than 16 times what is"):
        load(path)


@pytest.mark.parametrize("i", [0, 1], ids=["residual", "mlp"])
def test_layers_that_say_they_are_large_take_no_room(i, saved, path):
    """Two vectors of 400 kB say that a matrix of 40 GB is between them."""

    def edit(content, arrays):
        for name in list(arrays):
            if "norms" in name:
                arrays[name] = np.zeros(100_000, np.float32)

    edited(saved, path, edit, i)
    with pytest.raises(ValueError, match=r"describe an estimator .*layers of .* do not fit"):
        load(path)


@pytest.mark.parametrize("content", [5, None, [], "x", {}, {"estimator": 5}, {"estimator": []}])
def test_content_that_is_no_estimator(content, path):
    forge(path, content, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match=f"{path} does not describe an estimator"):
        load(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "{", ""])
def test_text_that_is_no_json(text, path):
    metadata = {"format": "sslgex", "format_version": "1", "content": text}
    arrays = {"a": np.zeros(3)}
    save_file(arrays, path, metadata=metadata | {"sha256": _tensor_file.digest(text, arrays)})
    with pytest.raises(ValueError, match=f"{path} is damaged: "):
        load(path)


@pytest.mark.parametrize("version", ["", "one", "-1", "²", "9" * 5_000])
def test_versions_that_are_none(version, path):
    save_file({"a": np.zeros(3)}, path, metadata={"format": "sslgex", "format_version": version})
    with pytest.raises(ValueError, match="its format version is"):
        load(path)


def test_a_folder(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        load(tmp_path)
