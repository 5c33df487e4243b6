"""`fit` and `transform` of the three pretrainers: what goes in, what comes out, to the bit."""

import functools
import pickle
import random
import subprocess
import sys
import textwrap
from io import BytesIO

import anndata as ad
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer

METHODS = [ScarfTransformer, VimeTransformer, ByolTransformer]
HEADS = {
    ScarfTransformer: {"projection_sizes": (8,)},
    VimeTransformer: {"decoder_sizes": (8,)},
    ByolTransformer: {"projection_sizes": (8, 4), "prediction_sizes": (8, 4)},
}
ARCHITECTURES = ["residual", "mlp"]
# What does not depend on the method is seen of the other architecture with one of them.
KINDS = [*((cls, "residual") for cls in METHODS), (ScarfTransformer, "mlp")]
N, GENES = 150, 20
NAMES = [f"gene{j}" for j in range(GENES)]
SAMPLES = [f"sample{i}" for i in range(N)]


def small(cls, **params):
    kw = {"hidden_layer_sizes": (16, 8), "max_epochs": 2, "batch_size": 64, "device": "cpu"}
    return cls(**{**kw, "random_state": 0, **HEADS[cls], **params})


def counts(n=N, n_genes=GENES, seed=0):
    """Small whole numbers: float16, bfloat16 and int8 hold them exactly."""
    X = np.random.default_rng(seed).poisson(3.0, size=(n, n_genes)).astype(np.float32)
    X[:, -1] = 0  # an all-zero gene, as in every RNA-seq matrix
    return X


X = counts()
# Three classes that the first genes tell apart, but not without fail.
Y = (X[:, :3] + np.random.default_rng(1).normal(size=(N, 3))).argmax(axis=1)


def annotated(values=X, **layers):
    adata = ad.AnnData(values)
    adata.obs_names, adata.var_names = SAMPLES, NAMES
    adata.layers.update(layers)
    return adata


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads only wait for each other in networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0].__name__}-{kind[1]}")
def fitted(request):
    cls, architecture = request.param
    return small(cls, architecture=architecture).fit(X)


def unfitted(fitted, **params):
    """Return an unfitted copy with other parameters."""
    return clone(fitted).set_params(**params)


@pytest.fixture
def threads():
    yield torch.set_num_threads
    torch.set_num_threads(1)


# ------------------------------------------------------------ a sample's embedding is its own


# What differs with the number of genes is the first product, which all methods have in common.
@pytest.mark.parametrize(
    ("cls", "architecture", "n_genes"),
    [
        *((*kind, n_genes) for kind in KINDS for n_genes in (7, 999)),
        *((*kind, n_genes) for kind in (KINDS[0], KINDS[-1]) for n_genes in (6000, 20242)),
    ],
)
def test_a_rows_bits_depend_on_nothing_but_the_row(cls, architecture, n_genes, threads):
    X = np.random.default_rng(0).normal(size=(300, n_genes)).astype(np.float32)
    sizes = (256, 32) if n_genes > 1000 else (256, 256, 256)
    how = {"architecture": architecture, "hidden_layer_sizes": sizes, "max_epochs": 1}
    est = small(cls, **how).fit(X[:40])
    threads(1)
    Z = est.transform(X)
    assert Z.std(axis=0).min() > 0.1
    order = np.random.default_rng(1).permutation(300)
    for n_threads in (1, 2):
        threads(n_threads)
        assert np.array_equal(est.transform(X), Z)
        assert np.array_equal(est.transform(X[order]), Z[order])
        assert np.array_equal(est.transform(X[:129]), Z[:129])
        for i in (0, 127, 128, 299):
            assert np.array_equal(est.transform(X[i : i + 1]), Z[i : i + 1])


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
@pytest.mark.parametrize("encoder", [None, small(ScarfTransformer)], ids=["scratch", "scarf"])
def test_a_rows_bits_from_a_classifier_depend_on_nothing_but_the_row(encoder, mode):
    kw = {"hidden_layer_sizes": (16, 8), "max_epochs": 2, "random_state": 0, "device": "cpu"}
    clf = SSLClassifier(encoder, mode=mode, early_stopping=False, **kw).fit(X, Y)
    assert clf.n_iter_ == (2 if mode == "unfrozen" else 0)
    Z, order = clf.transform(X), np.random.default_rng(1).permutation(N)
    assert Z.std() > 0.1
    assert np.array_equal(clf.transform(X), Z)  # and a call changes nothing for the next
    assert np.array_equal(clf.transform(X[order]), Z[order])
    assert np.array_equal(clf.transform(X[5:6]), Z[5:6])


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=2 * N))
def test_selecting_samples_selects_embeddings(rows):
    est = _fitted_once()
    assert np.array_equal(est.transform(X[rows]), est.transform(X)[rows])


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(N)))
def test_permuting_samples_permutes_embeddings(order):
    est = _fitted_once()
    assert np.array_equal(est.transform(X[order]), est.transform(X)[order])


@functools.cache
def _fitted_once():
    return small(ScarfTransformer).fit(X)


# -------------------------------------------------------------------- dtypes and containers


def memmap(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def frozen_array():
    values = X.copy()
    values.flags.writeable = False
    return values


SAME_BITS = {
    "float16": lambda: X.astype(np.float16),
    "int8": lambda: X.astype(np.int8),
    "uint16": lambda: X.astype(np.uint16),
    "int64": lambda: X.astype(np.int64),
    "big-endian": lambda: X.astype(">f4"),
    "fortran": lambda: np.asfortranarray(X),
    "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": frozen_array,
    "csr": lambda: sp.csr_matrix(X),
    "csr_array": lambda: sp.csr_array(X),
    "csr-int": lambda: sp.csr_array(X.astype(np.int32)),
    "csc": lambda: sp.csc_matrix(X),
    "coo": lambda: sp.coo_array(X),
    "pandas": lambda: pd.DataFrame(X, columns=NAMES, index=SAMPLES),
    "pandas-int": lambda: pd.DataFrame(X.astype(int), columns=NAMES),
    "polars": lambda: pl.DataFrame(X, schema=NAMES),
    "anndata": annotated,
    "anndata-csr": lambda: annotated(sp.csr_matrix(X)),
    "anndata-view": lambda: ad.concat([annotated(), annotated()], index_unique="-")[:N],
    "anndata-csr-view": lambda: annotated(sp.csr_matrix(np.vstack([X]))).copy()[:, NAMES],
    "tensor": lambda: torch.tensor(X),
    "tensor-bfloat16": lambda: torch.tensor(X).bfloat16(),
    "tensor-grad": lambda: torch.tensor(X, requires_grad=True),
    "tensor-transposed": lambda: torch.tensor(X.T.copy()).T,
    "tensor-int": lambda: torch.tensor(X.astype(np.int32)),
}


@pytest.mark.parametrize("kind", SAME_BITS)
def test_every_container_gives_the_bits_of_a_float32_array(kind, fitted):
    values = SAME_BITS[kind]()
    refitted = clone(fitted).fit(values)
    Z = refitted.transform(values)
    assert isinstance(Z, np.ndarray)
    assert Z.dtype == np.float32
    assert np.array_equal(Z, fitted.transform(X))
    if not hasattr(refitted, "feature_names_in_"):
        assert np.array_equal(fitted.transform(values), Z)
    else:
        assert list(refitted.feature_names_in_) == NAMES


def test_a_read_only_memmap_is_fitted_and_embedded(fitted, tmp_path):
    values = memmap(tmp_path)
    assert np.array_equal(clone(fitted).fit(values).transform(values), fitted.transform(X))


@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_a_layer_of_an_anndata_is_read_instead_of_its_x(kind, fitted):
    values = X if kind == "dense" else sp.csr_matrix(X)
    adata = annotated(np.full_like(X, np.nan), log=values)
    est = unfitted(fitted, layer="log").fit(adata)
    assert np.array_equal(est.transform(adata), fitted.transform(X))


@pytest.mark.parametrize("kind", ["array", "fortran", "csr", "pandas", "polars", "tensor", "list"])
def test_float64_comes_out_as_float64(kind, fitted):
    values = {
        "array": lambda X: X,
        "fortran": np.asfortranarray,
        "csr": sp.csr_matrix,
        "pandas": pd.DataFrame,
        "polars": pl.DataFrame,
        "tensor": torch.tensor,
        "list": np.ndarray.tolist,
    }[kind](X.astype(np.float64))
    Z = clone(fitted).fit(values).transform(values)
    assert Z.dtype == np.float64
    np.testing.assert_allclose(Z, fitted.transform(X), atol=1e-3)


def test_booleans_work(fitted):
    detected = X > 2
    Z = clone(fitted).fit_transform(detected)
    assert Z.dtype == np.float32
    assert np.array_equal(Z, clone(fitted).fit_transform(detected.astype(np.float32)))


def test_x_is_left_as_it_was(fitted):
    values = X.copy()
    clone(fitted).fit(values).transform(values)
    assert np.array_equal(values, X)


def test_unlabelled_matrices_are_rows_like_those_of_x(fitted):
    more = [X[40:90], sp.csr_matrix(X[90:])]
    est = clone(fitted).fit(X[:40], X_unlabeled=more)
    np.testing.assert_allclose(est.transform(X), fitted.transform(X), atol=1e-4)


# --------------------------------------------------------------------------- the embedding


@pytest.mark.parametrize("cls", METHODS)
def test_all_is_every_block_standardised_over_the_training_rows(cls):
    X = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
    Z = small(cls, architecture="mlp", embedding="all", max_epochs=5).fit_transform(X)
    assert Z.shape == (300, 16 + 8)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(Z.std(axis=0), 1, atol=1e-2)


@pytest.mark.parametrize("cls", METHODS)
def test_last_is_the_last_blocks_relu(cls):
    est = small(cls, architecture="mlp", embedding="last").fit(X)
    Z = est.transform(X)
    assert Z.shape == (N, 8)
    assert Z.min() == 0 < Z.max()
    assert list(est.get_feature_names_out()) == [f"{cls.__name__.lower()}{j}" for j in range(8)]


@pytest.mark.parametrize("embedding", ["all", "last"])
@pytest.mark.parametrize("cls", METHODS)
def test_the_residual_embedding_is_as_wide_as_its_stem_whatever_was_asked_of_the_mlp(
    cls, embedding
):
    est = small(cls, embedding=embedding, hidden_layer_sizes=(16, 9)).fit(X)
    # 20 genes, of which one is constant.
    assert est.transform(X).shape == (N, 19)
    assert len(est.get_feature_names_out()) == len(est.components_) == 19
    wide = counts(100, 90)
    assert small(cls, embedding=embedding).fit_transform(wide).shape == (100, 64)


@pytest.mark.parametrize(
    ("architecture", "embedding"), [("residual", "all"), ("mlp", "all"), ("mlp", "last")]
)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("cls", METHODS)
def test_encoder_on_standardised_genes_is_transform(cls, architecture, embedding, standardize):
    kw = {"architecture": architecture, "embedding": embedding, "dropout": 0.3}
    est = small(cls, standardize=standardize, **kw).fit(X)
    inputs = (X - est.mean_) / est.scale_ if standardize else X
    assert isinstance(est.encoder_, torch.nn.Module)
    assert not est.encoder_.training
    with torch.no_grad():
        Z = est.encoder_(torch.tensor(inputs, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(Z, est.transform(X), atol=1e-5)


def test_transform_learns_nothing(fitted):
    before = pickle.dumps(fitted)
    fitted.transform(counts(seed=5))
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize("cls", [*METHODS, SSLClassifier])
def test_pandas_output_has_the_samples_names_of_an_anndata(cls):
    encoder = small(ScarfTransformer)
    est = SSLClassifier(encoder, mode="frozen") if cls is SSLClassifier else small(cls)
    est.set_output(transform="pandas").fit(annotated(), Y)
    Z = est.transform(annotated())
    assert list(Z.index) == SAMPLES
    assert list(Z.columns) == list(est.get_feature_names_out())


# --------------------------------------------------------------------------------- seeds


def global_states():
    numpys = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpys[1].tolist(), numpys[2], random.getstate()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cls", METHODS)
def test_one_seed_is_one_run_and_global_generators_are_left_alone(cls, architecture):
    params = {"architecture": architecture, "dropout": 0.3, "validation_fraction": 0.2}
    before = global_states()
    est = small(cls, **params).fit(X)
    Z = est.transform(X)
    assert global_states() == before
    torch.manual_seed(99)
    random.seed(99)
    again = small(cls, **params).fit(X)
    assert again.loss_curve_ == est.loss_curve_
    assert again.validation_loss_curve_ == est.validation_loss_curve_
    assert np.array_equal(again.transform(X), Z)
    assert np.array_equal(again.fit(X).transform(X), Z)
    other = small(cls, **params, random_state=1).fit(X)
    assert not np.allclose(other.transform(X), Z, atol=0.1)


def test_random_state_may_be_an_instance_or_none(fitted):
    instance = np.random.RandomState(3)
    one = unfitted(fitted, random_state=instance).fit_transform(X)
    same = unfitted(fitted, random_state=np.random.RandomState(3))
    assert np.array_equal(one, same.fit_transform(X))
    # As in scikit-learn: an instance moves on from fit to fit.
    assert not np.array_equal(one, unfitted(fitted, random_state=instance).fit_transform(X))
    nones = [unfitted(fitted, random_state=None).fit_transform(X) for _ in range(2)]
    assert np.isfinite(nones).all()
    assert not np.array_equal(*nones)


# ----------------------------------------------------------------------------- pickles


@pytest.mark.parametrize("library", [pickle, joblib])
def test_pickles_come_back_to_the_bit(fitted, library):
    file = BytesIO()
    library.dump(fitted, file)
    file.seek(0)
    loaded = library.load(file)
    assert np.array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.loss_curve_ == fitted.loss_curve_
    assert np.array_equal(loaded.fit(X).transform(X), fitted.transform(X))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cls", METHODS)
def test_a_pickle_holds_the_encoder_and_neither_data_nor_optimiser_nor_heads(cls, architecture):
    values = counts(2000, 500)
    est = small(cls, architecture=architecture, validation_fraction=0.1).fit(values)
    weights = sum(t.numel() * t.element_size() for t in est.encoder_.state_dict().values())
    assert est.components_.shape == (128, 500)
    assert est.components_.dtype == np.float32
    learned = weights + est.components_.nbytes + est.mean_.nbytes + est.scale_.nbytes
    pickled = pickle.dumps(est)
    # VIME's decoders are 37 kB; the optimiser's moments are twice the weights.
    assert len(pickled) < learned + 20_000 < values.nbytes / 5
    assert b"exp_avg" not in pickled


# ----------------------------------------------------------- sizes and genes that must work


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize(
    ("n", "batch_size"), [(2, 128), (30, 128), (9, 4), (65, 64), (33, 32)], ids=str
)
def test_any_number_of_samples_can_be_fitted(cls, n, batch_size, architecture):
    Z = small(cls, architecture=architecture, batch_size=batch_size).fit_transform(counts(n))
    # The MLP's blocks; as many components as samples and varying genes have.
    assert Z.shape == (n, 16 + 8 if architecture == "mlp" else min(n - 1, GENES - 1))
    assert np.isfinite(Z).all()


@pytest.mark.parametrize("cls", METHODS)
def test_30_samples_of_60000_genes_can_be_fitted(cls):
    values = counts(30, 60_000)
    values[:, ::3] = 0
    est = small(cls, max_epochs=1, corruption_rate=0.1)  # donors of a sparse matrix take long
    Z = est.fit_transform(sp.csr_matrix(values))
    assert np.isfinite(Z).all()
    assert Z.std(axis=0).min() > 0.1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cls", METHODS)
def test_constant_genes_change_nothing_whatever_their_later_value(cls, architecture):
    est = small(cls, architecture=architecture).fit(X)
    later = X.copy()
    later[:, -1] = 1000
    assert np.array_equal(est.transform(later), est.transform(X))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("cls", METHODS)
def test_bfloat16_trains_on_a_cpu_and_transform_stays_float32(cls, architecture):
    est, exact = (
        small(cls, architecture=architecture, precision=precision, max_epochs=3).fit(X)
        for precision in ("bfloat16", "float32")
    )
    Z = est.transform(X)
    assert Z.dtype == np.float32
    assert np.isfinite(Z).all()
    assert {p.dtype for p in est.encoder_.parameters()} == {torch.float32}
    assert est.loss_curve_ != exact.loss_curve_
    np.testing.assert_allclose(est.loss_curve_, exact.loss_curve_, rtol=0.05)


MEMORY = """
    import os, sys
    from pathlib import Path
    import numpy as np, scipy.sparse as sp, torch
    import sslgex

    def peak():  # of this process; ru_maxrss would count the parent's
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    def measure(name, heads, sparse):
        shape, rng = (3000, 8000), np.random.default_rng(0)
        if sparse:
            X = sp.random_array(shape, density=0.01, format="csr", dtype=np.float32, rng=rng)
        else:
            X = np.empty(shape, dtype=np.float32)
            rng.random(dtype=np.float32, out=X)
        kw = dict(hidden_layer_sizes=(8,), max_epochs=1, batch_size=32, device="cpu")
        est = getattr(sslgex, name)(corruption_rate=0.1, **heads, **kw)
        est.fit(X[:64])  # loads what torch loads lazily
        start = peak()
        est.fit(X)
        fitted = peak()
        est.transform(X)
        dense = 4 * shape[0] * shape[1]
        print(name, sparse, (fitted - start) / dense, (peak() - start) / dense, flush=True)

    torch.set_num_threads(1)
    for case in {cases}:
        if os.fork() == 0:  # a process of its own, with a peak of its own, but one import for all
            measure(*case)
            os._exit(0)
        if os.wait()[1] != 0:
            sys.exit(1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_neither_fit_nor_transform_copies_x():
    kinds = [*((cls, False) for cls in METHODS), (ScarfTransformer, True)]
    cases = [(cls.__name__, HEADS[cls], sparse) for cls, sparse in kinds]
    script = textwrap.dedent(MEMORY).format(cases=cases)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    measured = [line.split() for line in run.stdout.splitlines()]
    assert len(measured) == len(cases)
    # A copy of X would be 1 and more; the blocks that pass through the network are about 0.25.
    for name, sparse, in_fit, in_both in measured:
        assert float(in_fit) < 0.75, (name, sparse)
        assert float(in_both) < 0.75, (name, sparse)
