"""`warm_start`: a further fit starts from the encoder and the heads at hand."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from on_disk import NAMES, X, memmap, shrink
from sklearn.base import clone

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer, load, save
from sslgex._training.engine import Engine

HOW = {"max_epochs": 3, "batch_size": 256, "random_state": 0, "device": "cpu", "warm_start": True}
METHODS = {
    "scarf": ScarfTransformer((16,), projection_sizes=(8,), **HOW),
    "vime": VimeTransformer((16,), decoder_sizes=(8,), architecture="mlp", **HOW),
    "byol": ByolTransformer((16,), projection_sizes=(8, 4), prediction_sizes=(8, 4), **HOW),
}
each_method = pytest.mark.parametrize("ssl", METHODS.values(), ids=METHODS)
FIRST, SECOND = X[:600], X[600:]


def starts(monkeypatch):
    """Return a list that gets the weights that every training starts from."""
    found, loop = [], Engine.fit_loop

    def recorded(self, *args, **kwargs):
        state = self.module_.state_dict()
        found.append({name: value.detach().clone() for name, value in state.items()})
        return loop(self, *args, **kwargs)

    monkeypatch.setattr(Engine, "fit_loop", recorded)
    return found


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@each_method
def test_it_starts_from_the_encoder_and_the_heads(ssl, monkeypatch):
    found = starts(monkeypatch)
    est = clone(ssl).fit(FIRST)
    encoder = {f"encoder.{k}": v.clone() for k, v in est.encoder_.state_dict().items()}
    heads = {k: v.clone() for k, v in est._heads.items()}
    names = ("mean_", "scale_", "components_")
    statistics = {name: getattr(est, name) for name in names}
    assert encoder
    assert heads
    est.fit(SECOND)
    assert same(found[1], {**found[0], **encoder, **heads})
    assert not same(found[1], found[0])
    assert all(getattr(est, name) is value for name, value in statistics.items())
    assert est.n_iter_ == len(est.history_) == 3
    assert np.isfinite(est.transform(X)).all()


@each_method
def test_without_it_a_fit_starts_anew(ssl):
    est = clone(ssl).set_params(warm_start=False)
    first = clone(est).fit(SECOND).transform(X)
    assert np.array_equal(est.fit(FIRST).fit(SECOND).transform(X), first)


@each_method
def test_the_first_fit_is_an_ordinary_one(ssl):
    ordinary = clone(ssl).set_params(warm_start=False).fit(X)
    assert np.array_equal(clone(ssl).fit(X).transform(X), ordinary.transform(X))


def test_more_epochs_lower_the_loss():
    est = clone(METHODS["vime"]).set_params(max_epochs=20).fit(X)
    first = est.loss_curve_
    est.fit(X)
    assert est.loss_curve_[0] < np.mean(first[:5])
    assert est.loss_curve_[-1] < first[-1]


def test_an_encoder_that_was_given_away_is_not_touched():
    est = clone(METHODS["scarf"]).fit(FIRST)
    given = copy.copy(est)
    before = given.transform(X)
    est.fit(SECOND)
    assert np.array_equal(given.transform(X), before)
    assert not np.array_equal(est.transform(X), before)


def test_rows_on_disk(tmp_path, monkeypatch):
    est = clone(METHODS["scarf"]).fit(FIRST)
    mean, before = est.mean_, est.transform(X)
    shrink(monkeypatch)
    est.fit(memmap(tmp_path, X))
    assert est.mean_ is mean
    assert not np.array_equal(est.transform(X), before)


# ------------------------------------------------------------------------------ what is left out


@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy", "save"])
def test_copies_and_files_hold_no_heads(way, tmp_path, monkeypatch):
    est = clone(METHODS["vime"]).fit(FIRST)
    if way == "save":
        save(est, tmp_path / "fitted")
    other = {
        "pickle": lambda: pickle.loads(pickle.dumps(est)),
        "copy": lambda: copy.copy(est),
        "deepcopy": lambda: copy.deepcopy(est),
        "save": lambda: load(tmp_path / "fitted"),
    }[way]()
    assert other._heads is None
    assert est._heads is not None
    found = starts(monkeypatch)
    encoder = {f"encoder.{k}": v.clone() for k, v in est.encoder_.state_dict().items()}
    with pytest.warns(UserWarning, match=r"heads .* are not there.*start anew"):
        other.fit(SECOND)
    assert {k: v.tolist() for k, v in found[0].items() if k in encoder} == {
        k: v.tolist() for k, v in encoder.items()
    }
    other.fit(FIRST)  # with heads, and no warning


# ------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"hidden_layer_sizes": (8,)}, r"the encoder with .* of shape \(16,"),
        ({"hidden_layer_sizes": (16, 16)}, r"the encoder with .* of shape None, where"),
        ({"projection_sizes": (4,)}, r"the heads with projector.* of shape \(8, "),
        ({"architecture": "mlp"}, "architecture='residual'"),
        ({"standardize": False}, "standardize=False, which it was not"),
    ],
)
def test_another_architecture_is_refused(params, said):
    est = clone(METHODS["scarf"]).fit(FIRST)
    before, heads = est.transform(X), est._heads
    with pytest.raises(
        ValueError, match=rf"warm_start=True goes on .*{said}.*or set warm_start=False"
    ):
        est.set_params(**params).fit(SECOND)
    assert est._heads is heads
    assert np.array_equal(est.transform(X), before)
    est.set_params(warm_start=False).fit(SECOND)


def test_other_genes_are_refused():
    est = clone(METHODS["scarf"]).fit(FIRST)
    with pytest.raises(ValueError, match="X has 39 features, but ScarfTransformer is expecting 40"):
        est.fit(SECOND[:, 1:])
    est = clone(METHODS["scarf"]).fit(pd.DataFrame(FIRST, columns=NAMES))
    with pytest.raises(ValueError, match=r"names should match(?s:.*)same in another order"):
        est.fit(pd.DataFrame(SECOND, columns=NAMES[::-1]))


def test_too_few_samples_and_another_scale_are_refused():
    est = clone(METHODS["scarf"]).fit(FIRST)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        est.fit(SECOND[:1])
    narrow = clone(METHODS["scarf"]).fit(FIRST * np.float32(1e-15))
    with pytest.raises(ValueError, match=r"gene \d+ of X is up to .*e\+2\d standard deviations.*"):
        narrow.fit(SECOND * np.float32(1e5))


# ------------------------------------------------------------------------------ with a checkpoint


def test_a_checkpoint_is_of_one_start(tmp_path):
    est = clone(METHODS["scarf"]).fit(FIRST)
    est.set_params(checkpoint=tmp_path / "kept").fit(SECOND)
    other = clone(METHODS["scarf"]).set_params(checkpoint=tmp_path / "kept")
    with pytest.raises(ValueError, match=r"another training: it starts from other weights"):
        other.fit(SECOND)
    again = clone(METHODS["scarf"]).fit(FIRST).set_params(checkpoint=tmp_path / "kept")
    assert np.array_equal(again.fit(SECOND).transform(X), est.transform(X))
