"""Every public pretrainer keeps the contract that `sslgex.testing` states."""

import numpy as np
import pytest

import sslgex
from sslgex import testing
from sslgex.base import BaseSSLTransformer
from sslgex.datasets import make_expression

PUBLIC = [getattr(sslgex, name) for name in sslgex.__all__]
PRETRAINERS = [c for c in PUBLIC if isinstance(c, type) and issubclass(c, BaseSSLTransformer)]
SMALL = {"projection_sizes": (16, 8), "prediction_sizes": (16, 8), "decoder_sizes": (8,)}


def small(cls, **params):
    names = cls().get_params()
    fitting = {name: sizes for name, sizes in SMALL.items() if name in names}
    return cls((12, 8), max_epochs=2, **fitting, **params)


@pytest.mark.parametrize("cls", PRETRAINERS)
@pytest.mark.parametrize("check", testing.CHECKS)
@pytest.mark.parametrize("architecture", ["residual", "mlp"])
def test_contract(cls, check, architecture):
    X, _ = make_expression(n_samples=60, n_genes=150, return_X_y=True, random_state=0)
    if architecture == "mlp" and check is testing.check_sample_alone:
        # Eight ReLU units, half of them 0, cannot tell sixty samples apart after two epochs.
        X = X[:10]
    check(small(cls, architecture=architecture, embedding="last"), X)


def test_a_transformer_that_looks_at_the_batch_fails_the_checks():
    class Centred(sslgex.ScarfTransformer):
        def transform(self, X):
            Z = super().transform(X)
            return Z - Z.mean(axis=0)

    with pytest.raises(AssertionError, match="depends on the order"):
        testing.check_pretrainer(small(Centred))


def test_a_transformer_that_uses_the_global_generator_fails_the_checks():
    class Noisy(sslgex.ScarfTransformer):
        def fit(self, X, y=None, *, X_unlabeled=None):
            np.random.rand()  # noqa: NPY002
            return super().fit(X, y, X_unlabeled=X_unlabeled)

    with pytest.raises(AssertionError, match="global random generator"):
        testing.check_pretrainer(small(Noisy))


def test_a_transformer_that_keeps_the_data_fails_the_checks():
    class Hoarding(sslgex.ScarfTransformer):
        def fit(self, X, y=None, *, X_unlabeled=None):
            self.X_ = X
            return super().fit(X, y, X_unlabeled=X_unlabeled)

    Hoarding.__qualname__ = Hoarding.__name__  # so that pickle finds it
    globals()["Hoarding"] = Hoarding
    with pytest.raises(AssertionError, match="the pickle has"):
        testing.check_pretrainer(small(Hoarding))
