"""What a CUDA GPU must give: the CPU's arithmetic, and models that come back to the CPU.

That batches which it draws are distributed as they should is in test_corruption.py.
"""

import os
import pickle
import time
import warnings
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from test_checkpoint import interrupted

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._training import resident
from sslgex._training.engine import Engine
from sslgex._training.resident import ResidentRows, ResidentSource
from sslgex._training.rows import Rows
from sslgex._training.seeds import Seeds
from sslgex.evaluation import label_efficiency_curve

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here"),
]

METHODS = {
    ScarfTransformer: {"projection_sizes": (16,)},
    VimeTransformer: {"decoder_sizes": (16,)},
    ByolTransformer: {"projection_sizes": (32, 16), "prediction_sizes": (32, 16)},
}
X = np.random.default_rng(0).normal(5, 2, size=(300, 500)).astype(np.float32)
Y = np.arange(300) % 3
X[:, :50] += Y[:, None]  # labels of which a head can tell something


def small(cls, device, **params):
    kw = {"hidden_layer_sizes": (32, 16), "batch_size": 128, "max_epochs": 2, "lr": 1e-4}
    kw |= {"precision": "float32", "random_state": 0, **METHODS[cls], **params}
    return cls(device=device, **kw)


@pytest.fixture(params=METHODS, ids=lambda cls: cls.__name__)
def cls(request):
    return request.param


@pytest.fixture
def drawn_on_the_host(monkeypatch):
    """Draw order, corruption and dropout on the host, so that they are the same on every device."""
    monkeypatch.setattr(Seeds, "drawn_on", staticmethod(lambda device: False))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_with_the_same_draws_a_fit_on_cuda_is_the_fit_on_the_cpu(cls, dropout, drawn_on_the_host):
    cuda, cpu = (small(cls, d, dropout=dropout).fit(X) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(cuda.loss_curve_, cpu.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(cuda.transform(X), cpu.transform(X), atol=1e-4)


def test_with_the_same_draws_partial_fit_on_cuda_is_that_on_the_cpu(cls, drawn_on_the_host):
    cuda, cpu = (small(cls, device, dropout=0.2) for device in ("cuda", "cpu"))
    for start in range(0, 300, 100):
        for est in (cuda, cpu):
            est.partial_fit(X[start : start + 100])
    np.testing.assert_allclose(cuda.loss_curve_, cpu.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(cuda.transform(X), cpu.transform(X), atol=1e-4)
    with pytest.warns(UserWarning, match="the state of the optimiser starts anew"):
        cuda.set_params(device="cpu").partial_fit(X)


def test_transform_on_cuda_agrees_with_the_cpu(cls):
    est = small(cls, "cuda", max_epochs=5, lr=1e-3).fit(X)
    Z = est.transform(X)
    assert Z.std(axis=0).min() > 0.1
    np.testing.assert_allclose(est.set_params(device="cpu").transform(X), Z, atol=1e-4)


def test_a_rows_bits_on_cuda_depend_on_nothing_but_the_row(cls):
    est = small(cls, "cuda").fit(X)
    Z, order = est.transform(X), np.random.default_rng(1).permutation(300)
    assert np.array_equal(est.transform(X[order]), Z[order])
    assert np.array_equal(est.transform(X[7:8]), Z[7:8])


def test_the_fitted_encoder_is_on_the_cpu(cls):
    est = small(cls, "cuda").fit(X)
    assert {t.device.type for t in est.encoder_.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_pickle_fitted_on_cuda_loads_and_transforms_on_a_cpu(cls, device, monkeypatch):
    est = small(cls, device).fit(X)
    Z = est.transform(X)
    pickled = pickle.dumps(est)
    assert np.array_equal(pickle.loads(pickled).transform(X), Z)
    # As on a machine without a GPU: nothing in the pickle may ask for one.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(pickled)
    if device == "cuda":
        with pytest.warns(UserWarning, match="using the CPU"):
            on_cpu = loaded.transform(X)
    else:
        on_cpu = loaded.transform(X)
    np.testing.assert_allclose(on_cpu, Z, atol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "auto"])
def test_bfloat16_trains_on_cuda(cls, precision):
    est = small(cls, "cuda", precision=precision, max_epochs=3).fit(X)
    exact = small(cls, "cuda", max_epochs=3).fit(X)
    Z = est.transform(X)
    assert Z.dtype == np.float32
    assert np.isfinite(Z).all()
    np.testing.assert_allclose(est.loss_curve_, exact.loss_curve_, rtol=0.05)


def test_one_seed_is_one_run_and_the_gpus_generator_is_left_alone(cls):
    before = torch.cuda.get_rng_state()
    runs = [small(cls, "cuda", dropout=0.2).fit(X) for _ in range(2)]
    assert torch.equal(torch.cuda.get_rng_state(), before)
    np.testing.assert_allclose(runs[0].loss_curve_, runs[1].loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(runs[0].transform(X), runs[1].transform(X), atol=1e-4)


# ------------------------------------------------------------------------------ rows kept there


@pytest.fixture
def kept(monkeypatch):
    """Return the rows that are kept on the GPU from now on."""
    found, init = [], ResidentRows.__init__

    def seen(self, *args):
        found.append(self)
        init(self, *args)

    monkeypatch.setattr(ResidentRows, "__init__", seen)
    return found


def test_draws_of_the_gpu_train_as_those_of_the_host_do(cls, kept, monkeypatch):
    how = {"max_epochs": 30, "lr": 1e-3, "batch_size": 100, "validation_fraction": 0.2}
    here = small(cls, "cuda", **how).fit(X)
    assert [rows.values.device.type for rows in kept] == ["cuda"]
    monkeypatch.setattr(Seeds, "drawn_on", staticmethod(lambda device: False))
    there = small(cls, "cuda", **how).fit(X)
    assert len(kept) == 1
    assert here.loss_curve_[-1] < here.loss_curve_[0]
    assert here.loss_curve_ != there.loss_curve_
    rtol = 0.2 if cls is ByolTransformer else 0.03  # its target moves along
    for curve in ("loss_curve_", "validation_loss_curve_"):
        np.testing.assert_allclose(getattr(here, curve), getattr(there, curve), rtol=rtol)
    own, other = (probability(est) for est in (here, there))
    assert own == pytest.approx(other, abs=0.05)


def probability(est):
    """Return the mean probability of the right class by a linear head on the embedding."""
    clf = SSLClassifier(est, mode="frozen", head="linear", device="cpu", random_state=0)
    p = clf.fit(X[::2], Y[::2]).predict_proba(X[1::2])
    return p[np.arange(len(p)), Y[1::2]].mean()


@contextmanager
def no_waiting():
    """Let what waits for the GPU be an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that it does not find all of it
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_steps_do_not_wait_for_the_gpu(cls, kept, monkeypatch):
    train = Engine.train_batch

    def strict(self, *args):
        with no_waiting():
            train(self, *args)

    monkeypatch.setattr(Engine, "train_batch", strict)
    small(cls, "cuda", dropout=0.2, precision="bfloat16").fit(X)
    rows = Rows([X])
    source = ResidentSource(
        ResidentRows(rows, np.arange(300), None, torch.device("cuda")), batch_size=64, seed=0
    )
    with no_waiting():
        assert sum(len(views.index) for views in source) == 300
    assert len(kept) == 2


def test_rows_that_do_not_fit_stay_on_the_host(cls, kept, monkeypatch):
    monkeypatch.setattr(resident, "free_memory", lambda device: 4 * X.size)
    est = small(cls, "cuda").fit(X)
    monkeypatch.setattr(Seeds, "drawn_on", staticmethod(lambda device: False))
    np.testing.assert_allclose(est.loss_curve_, small(cls, "cuda").fit(X).loss_curve_, rtol=1e-5)
    assert not kept


def test_a_fit_leaves_none_of_its_rows_on_the_gpu(cls, kept):
    wide = np.tile(X, (1, 20))
    before = torch.cuda.memory_allocated()
    small(cls, "cuda", max_epochs=1).fit(wide)
    assert kept[0].values.numel() == 0
    assert torch.cuda.memory_allocated() - before < wide.nbytes


def test_all_entries_of_a_large_table_can_be_donors():
    # Of twice as many as 32 bits with a sign can number.
    free, _ = torch.cuda.mem_get_info()
    if free < 20 * 2**30:
        pytest.skip("this GPU has less than 20 GB free")
    n, n_genes = 2**18, 2**14
    rows = ResidentRows(Rows([X[:2]]), np.arange(2), None, torch.device("cuda"))
    rows.values = torch.arange(n, dtype=torch.float32, device="cuda")[:, None].expand(-1, n_genes)
    rows.values, rows.numbers = rows.values.contiguous(), torch.arange(n, device="cuda")
    rows.n_train = n
    views = next(iter(ResidentSource(rows, batch_size=64, seed=0)))
    assert torch.equal(views.clean[:, 0].long(), views.index)
    for exact in (False, True):
        values, mask = views.corrupted(0.5, exact=exact)
        assert torch.equal(values[~mask], views.clean[~mask])
        drawn = values[mask].double()
        assert drawn.mean().item() == pytest.approx(n / 2, rel=0.01)
        assert drawn.max().item() > 0.999 * n


def test_what_was_interrupted_goes_on_with_its_draws(cls, tmp_path, monkeypatch, kept):
    how = {"max_epochs": 6, "dropout": 0.1}
    est = small(cls, "cuda", checkpoint=tmp_path / "kept", checkpoint_every=1, **how)
    interrupted(est, X, 11, monkeypatch)
    whole = small(cls, "cuda", **how).fit(X)
    np.testing.assert_allclose(est.fit(X).loss_curve_, whole.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(est.transform(X), whole.transform(X), atol=1e-4)
    assert len(kept) == 3


# ------------------------------------------------------------------------------ and the rest


@pytest.mark.parametrize("cls", [ScarfTransformer, VimeTransformer])
def test_early_stopping_restores_weights_on_cuda(cls):
    kw = {"validation_fraction": 0.2, "lr": 1e-2, "schedule": "constant", "max_epochs": 100}
    est = small(cls, "cuda", early_stopping=True, n_iter_no_change=3, **kw).fit(X)
    curve = est.validation_loss_curve_
    assert est.n_iter_ == len(curve)
    assert np.isfinite(curve).all()
    assert np.isfinite(est.transform(X)).all()


def test_fine_tuning_on_cuda_agrees_with_the_cpu(cls, drawn_on_the_host):
    encoder = small(cls, "cpu").fit(X)
    kw = {"max_epochs": 2, "lr": 1e-5, "random_state": 0, "precision": "float32"}
    # To the end, and not where it is best out of fold: that may be before the first epoch.
    kw["early_stopping"] = False
    cuda, cpu = (SSLClassifier(encoder, device=d, **kw).fit(X, Y) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(cuda.loss_curve_, cpu.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(cuda.predict_proba(X), cpu.predict_proba(X), atol=1e-3)
    loaded = pickle.loads(pickle.dumps(cuda))
    assert np.array_equal(loaded.predict_proba(X), cuda.predict_proba(X))


def test_an_index_beyond_the_gpus_is_refused(cls):
    n = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"'cuda:{n}' is not available.* sees {n} cuda"):
        small(cls, f"cuda:{n}").fit(X)


def device_in_worker(_):
    from sslgex._training.device import resolve_device

    time.sleep(0.1)  # that the other worker has one, too
    return os.getpid(), str(resolve_device("cuda"))


def test_workers_take_turns_with_the_gpus():
    jobs = max(2, torch.cuda.device_count())
    found = dict(Parallel(jobs, "loky")(delayed(device_in_worker)(i) for i in range(8 * jobs)))
    n_per_gpu = Counter(found.values())
    assert max(n_per_gpu.values()) - min(n_per_gpu.values()) <= 1
    assert len(n_per_gpu) == min(len(found), torch.cuda.device_count())


def test_jobs_on_cuda_give_what_one_job_gives():
    entries = {"scarf": SSLClassifier(small(ScarfTransformer, "auto"), mode="frozen")}
    kw = {"label_sizes": [12], "n_draws": 2, "cv": 2, "random_state": 0, "error_score": "raise"}
    one, two = (label_efficiency_curve(entries, X, Y, n_jobs=n, **kw) for n in (1, 2))
    for a, b in zip(one.outcomes["scarf"], two.outcomes["scarf"], strict=True):
        np.testing.assert_allclose(a.p_true, b.p_true, atol=1e-4)
