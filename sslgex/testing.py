"""Checks of the contract every pretrainer keeps, for a method of your own."""

import pickle
import random

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from .datasets import make_expression

__all__ = ["check_pretrainer"]


def check_pretrainer(estimator) -> None:
    """Run all checks on a pretrainer; the first that fails raises.

    scikit-learn's `parametrize_with_checks` tests what holds for every estimator; these test what
    holds for a pretrainer here.

    Parameters
    ----------
    estimator : estimator
        An unfitted instance, set to train in a second or two on 60 samples of 150 genes. Its
        parameters ``random_state`` and ``dropout`` are varied on clones.

    Raises
    ------
    AssertionError
        Saying what does not hold.

    Examples
    --------
    >>> from sslgex import ScarfTransformer
    >>> from sslgex.testing import check_pretrainer
    >>> check_pretrainer(ScarfTransformer((8, 8), max_epochs=2))
    """
    X, _ = make_expression(n_samples=60, n_genes=150, return_X_y=True, random_state=0)
    for check in CHECKS:
        check(estimator, X)


def check_sample_alone(estimator, X) -> None:
    """A sample's embedding is bitwise the same alone, permuted, in the batch, on 1 or 2 threads."""
    fitted = _fit(estimator, X)
    Z = fitted.transform(X)
    assert np.isfinite(Z).all(), "embeddings are not finite"
    assert len(np.unique(Z, axis=0)) == len(Z), "different samples have the same embedding"
    order = np.random.RandomState(0).permutation(len(X))
    _assert_same(fitted.transform(X[order]), Z[order], "depends on the order of the samples")
    for i in (0, len(X) // 2, len(X) - 1):
        _assert_same(fitted.transform(X[i : i + 1]), Z[i : i + 1], "depends on the neighbours")
    n_threads = torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            with threadpool_limits(n):
                _assert_same(fitted.transform(X), Z, f"depends on the threads ({n})")
    finally:
        torch.set_num_threads(n_threads)


def check_dtypes(estimator, X) -> None:
    """The embedding is float64 for float64, else float32, and the same for sparse X."""
    fitted = _fit(estimator, X.astype(np.float32))
    for dtype in (np.float64, np.float32, np.float16, np.int64):
        Z = fitted.transform(X.astype(dtype))
        wanted = np.float64 if dtype is np.float64 else np.float32
        assert Z.dtype == wanted, f"{np.dtype(dtype)} in gives {Z.dtype} out, not {wanted}"
    sparse = sp.csr_array(X.astype(np.float32))
    dense = fitted.transform(X.astype(np.float32))
    _assert_same(fitted.transform(sparse), dense, "differs for a CSR matrix in transform")
    _assert_same(
        _fit(estimator, sparse).transform(sparse), dense, "differs for a CSR matrix in fit"
    )


def check_seeds(estimator, X) -> None:
    """One seed gives the same bits, another seed others."""
    Z = _fit(estimator, X).transform(X)
    _assert_same(_fit(estimator, X).transform(X), Z, "differs between two fits of one seed")
    other = clone(estimator).set_params(random_state=1).fit(X).transform(X)
    assert not np.array_equal(other, Z), "two seeds give the same embedding"


def check_global_generators(estimator, X) -> None:
    """Neither `fit` nor `transform` touches a global random generator, dropout included."""

    def states():
        numpy_state = pickle.dumps(np.random.get_state())  # noqa: NPY002
        return random.getstate(), numpy_state, torch.get_rng_state().tolist()

    before = states()
    clone(estimator).set_params(random_state=0, dropout=0.2).fit(X).transform(X)
    assert states() == before, "a global random generator was used"


def check_pickle(estimator, X) -> None:
    """A pickle gives the same bits back and holds neither training data nor optimiser."""
    tall = np.tile(X, (50, 1))
    fitted = clone(estimator).set_params(random_state=0, max_epochs=1).fit(tall)
    pickled = pickle.dumps(fitted)
    Z = fitted.transform(X)
    _assert_same(pickle.loads(pickled).transform(X), Z, "differs after a pickle")
    weights = sum(v.numel() * v.element_size() for v in fitted.encoder_.state_dict().values())
    limit = 1.2 * weights + 50_000
    assert len(pickled) < limit, f"the pickle has {len(pickled):,} bytes, the weights {weights:,}"


def check_input_untouched(estimator, X) -> None:
    """`fit` and `transform` read X without writing into it."""
    X = X.copy()
    before = X.copy()
    X.flags.writeable = False
    _fit(estimator, X).transform(X)
    _assert_same(X, before, "X was changed")


def check_encoder(estimator, X) -> None:
    """`encoder_` is a CPU module in evaluation mode whose output is the embedding."""
    fitted = _fit(estimator, X)
    encoder = fitted.encoder_
    assert not encoder.training, "encoder_ is left in training mode"
    assert all(p.device.type == "cpu" for p in encoder.parameters()), "encoder_ is not on the CPU"
    standardised = (X - fitted.mean_) / fitted.scale_ if fitted.standardize else X
    with torch.no_grad():
        Z = encoder(torch.from_numpy(standardised.astype(np.float32))).numpy()
    np.testing.assert_allclose(fitted.transform(X), Z, rtol=1e-3, atol=1e-3)


CHECKS = [
    check_sample_alone,
    check_dtypes,
    check_seeds,
    check_global_generators,
    check_pickle,
    check_input_untouched,
    check_encoder,
]


def _fit(estimator, X):
    return clone(estimator).set_params(random_state=0).fit(X)


def _assert_same(got, wanted, what: str) -> None:
    same = np.array_equal(got, wanted)
    assert same, f"{what}: largest difference {np.abs(np.asarray(got) - wanted).max():.3g}"
