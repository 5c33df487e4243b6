"""Training whose rows are kept on the device and drawn from there; here the device is the CPU.

That its batches are distributed as they should is in test_corruption.py, what only a GPU can show
in test_gpu.py.
"""

import itertools
from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from on_disk import X as TALL
from on_disk import memmap, shrink
from sklearn.base import clone
from test_checkpoint import METHODS as WITH_CHECKPOINT
from test_checkpoint import assert_same, interrupted
from test_learning import METHODS, SIZES, probe

from sslgex import ScarfTransformer, SSLClassifier
from sslgex._training import resident, sources, tensor_corruption
from sslgex._training.resident import ResidentSource
from sslgex._training.seeds import Seeds
from sslgex.datasets import make_expression

N = 300
SMALL = ScarfTransformer(
    (16,), projection_sizes=(8,), max_epochs=3, batch_size=64, random_state=0, device="cpu"
)


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Let the CPU draw as a GPU does, and return the sources that are made."""
    found = []

    class Seen(ResidentSource):
        def __init__(self, *args, **kw):
            found.append(self)
            super().__init__(*args, **kw)

    monkeypatch.setattr(Seeds, "drawn_on", staticmethod(lambda device: True))
    monkeypatch.setattr(sources, "ResidentSource", Seen)
    return found


@pytest.fixture(scope="module")
def data():
    return make_expression(2 * N, 200, class_sep=5.0, return_X_y=True, random_state=0)


def on_the_host(est, X, **fit):
    """Fit as on a CPU."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Seeds, "drawn_on", staticmethod(lambda device: False))
        return clone(est).fit(X, **fit)


# ------------------------------------------------------------------------------ which genes


def test_keys_that_are_alike_make_no_set_likelier(monkeypatch):
    monkeypatch.setattr(tensor_corruption, "LARGEST", 8)  # of four genes, keys are 0 or 1
    generator, counts, n = torch.Generator().manual_seed(0), Counter(), 6_000
    mask = torch.empty((1, 4), dtype=torch.bool)
    for _ in range(n):
        tensor_corruption.choose(2, generator, out=mask)
        counts[tuple(np.flatnonzero(mask[0]))] += 1
    assert set(counts) == set(itertools.combinations(range(4), 2))
    expected = n / 6
    assert max(abs(c - expected) for c in counts.values()) < 4 * np.sqrt(expected * 5 / 6)


@pytest.mark.parametrize("n_genes", [1, 7, 60_000])
def test_keys_hold_any_number_of_genes(n_genes):
    mask = torch.empty((3, n_genes), dtype=torch.bool)
    for count in {0, 1, n_genes // 3, n_genes}:
        tensor_corruption.choose(count, torch.Generator().manual_seed(0), out=mask)
        assert mask.sum(dim=1).tolist() == [count] * 3


def test_who_wants_deterministic_algorithms_gets_the_same_genes(monkeypatch):
    masks = [torch.empty((5, 40), dtype=torch.bool) for _ in range(2)]
    tensor_corruption.choose(13, torch.Generator().manual_seed(0), out=masks[0])
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(torch.Tensor, "kthvalue", None, raising=False)  # as a GPU refuses it
    tensor_corruption.choose(13, torch.Generator().manual_seed(0), out=masks[1])
    assert torch.equal(*masks)


# ------------------------------------------------------------------------------ fits


@pytest.mark.parametrize("cls", METHODS)
def test_it_learns_what_training_on_the_host_learns(cls, data, made):
    X, y = data
    est = cls(SIZES, max_epochs=20, random_state=0, device="cpu", **METHODS[cls])
    here, there = clone(est).fit(X[:N]), on_the_host(est, X[:N])
    assert len(made) == 1
    assert here.loss_curve_[-1] < here.loss_curve_[0]
    assert here.loss_curve_ != there.loss_curve_
    np.testing.assert_allclose(here.loss_curve_, there.loss_curve_, rtol=0.1)
    scores = [probe(e.transform(X[N:]), y[N:]) for e in (here, there)]
    assert scores[0] == pytest.approx(scores[1], abs=0.03)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_one_seed_is_one_run_and_global_generators_are_left_alone(dropout, data, made):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    est = clone(SMALL).set_params(dropout=dropout, validation_fraction=0.2)
    one, other = (clone(est).fit(data[0]) for _ in range(2))
    assert_same(one, other)
    assert clone(est).set_params(random_state=1).fit(data[0]).loss_curve_ != one.loss_curve_
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert [source.held_out for source in made] == [False, True] * 3


def test_sparse_and_several_matrices_give_the_bits_of_one(data, made):
    X = np.maximum(data[0] - data[0].mean(), 0)
    one = clone(SMALL).fit(X)
    assert_same(clone(SMALL).fit(sp.csr_matrix(X)), one)
    several = clone(SMALL).fit(X[:100], X_unlabeled=[X[100:101], sp.csr_matrix(X[101:])])
    assert len(made) == 3
    np.testing.assert_allclose(several.loss_curve_, one.loss_curve_, rtol=1e-5)


def test_the_rows_are_let_go_of_after_training(data, made):
    clone(SMALL).set_params(validation_fraction=0.2).fit(data[0])
    with pytest.raises(ValueError, match="Training blew up"):
        clone(SMALL).set_params(lr=1e30).fit(data[0])
    assert [source.rows.values.numel() for source in made] == [0] * 3


# ------------------------------------------------------------------------------ where it is used


@pytest.mark.parametrize(("times", "fits"), [(1.9, False), (2.1, True)])
def test_rows_that_take_more_than_half_of_the_free_memory_stay_on_the_host(
    times, fits, data, made, monkeypatch
):
    X = data[0]
    monkeypatch.setattr(resident, "free_memory", lambda device: int(times * 4 * X.size))
    est = clone(SMALL).fit(X.astype(np.float32))
    assert len(made) == fits
    if not fits:
        assert_same(est, on_the_host(SMALL, X.astype(np.float32)))


def test_rows_on_disk_stay_there(tmp_path, monkeypatch, made):
    shrink(monkeypatch)
    est = clone(SMALL).set_params(validation_fraction=0.2)
    assert_same(est.fit(memmap(tmp_path, TALL)), on_the_host(est, memmap(tmp_path, TALL)))
    assert not made


def test_a_gpu_draws_and_a_cpu_does_not(monkeypatch):
    monkeypatch.undo()
    kinds = ("cuda", "cuda:1", "cpu", "mps")
    assert [Seeds.drawn_on(torch.device(kind)) for kind in kinds] == [True, True, False, False]
    assert Seeds(0).generator("dropout", torch.device("cpu")).device.type == "cpu"


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_classifier_is_trained_so_too(mode, data, made):
    X, y = data
    encoder = on_the_host(SMALL, X[:N])
    clf = SSLClassifier(encoder, mode=mode, head="sgd", random_state=0, device="cpu")
    clf.set_params(early_stopping=True, max_epochs=20, lr=1e-2, dropout=0.1)
    here, there = clone(clf).fit(X[:N], y[:N]), on_the_host(clf, X[:N], y=y[:N])
    assert [source.held_out for source in made] == [False, True]
    assert here.score(X[N:], y[N:]) == pytest.approx(there.score(X[N:], y[N:]), abs=0.05)
    assert here.score(X[N:], y[N:]) > 0.6
    assert np.array_equal(clone(clf).fit(X[:N], y[:N]).predict_proba(X), here.predict_proba(X))


# ------------------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("name", WITH_CHECKPOINT)
def test_what_was_interrupted_goes_on_to_the_bits_of_one_run(name, tmp_path, monkeypatch, made):
    est = WITH_CHECKPOINT[name]
    kept = clone(est).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    for n in (7, 6, 9):
        interrupted(kept, TALL, n, monkeypatch)
    assert_same(kept.fit(TALL), clone(est).fit(TALL))
    assert made


@pytest.mark.parametrize("first", ["host", "device"])
def test_training_goes_on_where_others_draw(first, tmp_path, monkeypatch, made):
    est = clone(WITH_CHECKPOINT["vime"])
    kept = clone(est).set_params(checkpoint=tmp_path / "kept", checkpoint_every=1)
    with monkeypatch.context() as patch:
        patch.setattr(Seeds, "drawn_on", staticmethod(lambda device: first == "device"))
        interrupted(kept, TALL, 13, monkeypatch)
        whole = clone(est).fit(TALL)
        patch.setattr(Seeds, "drawn_on", staticmethod(lambda device: first == "host"))
        kept.fit(TALL)
    assert kept.loss_curve_[:3] == whole.loss_curve_[:3]
    assert kept.loss_curve_[3:] != whole.loss_curve_[3:]
    np.testing.assert_allclose(kept.loss_curve_, whole.loss_curve_, rtol=0.05)
