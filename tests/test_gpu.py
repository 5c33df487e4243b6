"""What a CUDA GPU must give: the CPU's results, and models that come back to the CPU."""

import os
import pickle
import time
from collections import Counter

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
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


def small(cls, device, **params):
    kw = {"hidden_layer_sizes": (32, 16), "batch_size": 128, "max_epochs": 2, "lr": 1e-4}
    kw |= {"precision": "float32", "random_state": 0, **METHODS[cls], **params}
    return cls(device=device, **kw)


@pytest.fixture(params=METHODS, ids=lambda cls: cls.__name__)
def cls(request):
    return request.param


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_fit_on_cuda_is_the_fit_on_the_cpu(cls, dropout):
    # Order, corruption and dropout are drawn on the host: one seed, one run, on every device.
    cuda, cpu = (small(cls, d, dropout=dropout).fit(X) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(cuda.loss_curve_, cpu.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(cuda.transform(X), cpu.transform(X), atol=1e-4)


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


@pytest.mark.parametrize("cls", [ScarfTransformer, VimeTransformer])
def test_early_stopping_restores_weights_on_cuda(cls):
    kw = {"validation_fraction": 0.2, "lr": 1e-2, "schedule": "constant", "max_epochs": 100}
    est = small(cls, "cuda", early_stopping=True, n_iter_no_change=3, **kw).fit(X)
    curve = est.validation_loss_curve_
    assert est.n_iter_ == len(curve)
    assert np.isfinite(curve).all()
    assert np.isfinite(est.transform(X)).all()


def test_fine_tuning_on_cuda_agrees_with_the_cpu(cls):
    encoder = small(cls, "cpu").fit(X)
    kw = {"max_epochs": 2, "lr": 1e-5, "random_state": 0, "precision": "float32"}
    cuda, cpu = (SSLClassifier(encoder, device=d, **kw).fit(X, Y) for d in ("cuda", "cpu"))
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
