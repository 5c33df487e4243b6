"""Regressions: each test names a fault that a review found."""

import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier
from sslgex._head import LinearHead
from sslgex._nn.losses import cosine_loss, info_nce
from sslgex._training.corruption import n_corrupted
from sslgex.datasets import make_expression


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=80, n_genes=60, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def scarf(data):
    return ScarfTransformer((12, 8), max_epochs=3, random_state=0).fit(data[0])


def test_the_head_has_not_seen_the_samples_that_stop_its_training(data, scarf, monkeypatch):
    seen = []
    fit = LinearHead.fit

    def counted(self, X, *args, **kwargs):
        seen.append(len(X))
        return fit(self, X, *args, **kwargs)

    monkeypatch.setattr(LinearHead, "fit", counted)
    clf = SSLClassifier(
        scarf, head="linear", early_stopping=True, validation_fraction=0.2, max_epochs=3,
        random_state=0,
    ).fit(*data)  # fmt: skip
    assert seen == [64]
    assert len(clf.validation_loss_curve_) == 3


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_classifier_copies_a_fortran_ordered_matrix_once(fitted, mode):
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(20_000, 500)).astype(np.float32))
    y = np.arange(len(X)) % 2
    X[y == 1, :200] += 0.5
    encoder = ScarfTransformer(
        (8,), architecture="mlp", max_epochs=1, projection_sizes=(8,), random_state=0
    )
    encoder = encoder.fit(X[:100]) if fitted else encoder
    # The pooled head would have one more, for its expert on the genes.
    clf = SSLClassifier(
        encoder, mode=mode, head="linear", max_epochs=1, batch_size=500, random_state=0
    )
    tracemalloc.start()
    try:
        clf.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Unfrozen, the training part of a fold comes on top.
    copies = 2.5 if mode == "unfrozen" else 0.5 if fitted else 1.5
    assert peak < copies * X.nbytes


@pytest.mark.parametrize(
    "y",
    [
        [0.0, 1.0, None] * 20,
        pd.Series([0, 1, None] * 20).astype(object),
        pd.Series([0, 1, None] * 20, dtype="Float64"),
    ],
)
def test_numbers_with_gaps_are_labels_with_gaps(y, data):
    clf = SSLClassifier(ScarfTransformer((8,), max_epochs=1), mode="frozen", random_state=0).fit(
        data[0][:60], np.asarray(y, dtype=object) if isinstance(y, list) else y
    )
    np.testing.assert_array_equal(clf.classes_, [0, 1])


def test_labels_of_mixed_kinds_are_named(data):
    y = np.array(["a", 1] * 40, dtype=object)
    with pytest.raises(ValueError, match=r"one kind.*int, str"):
        SSLClassifier(ScarfTransformer((8,), max_epochs=1)).fit(data[0], y)


def test_a_foreign_encoder_with_gene_names_takes_anndata(data):
    X, y = data
    adata = anndata.AnnData(X, var=pd.DataFrame(index=[f"G{i}" for i in range(60)]))
    pca = PCA(5, random_state=0).fit(adata.to_df())
    clf = SSLClassifier(pca, mode="frozen", random_state=0).fit(adata, y)
    np.testing.assert_allclose(clf.transform(adata), pca.transform(adata.to_df()), rtol=1e-5)


def test_the_number_of_corrupted_genes_is_the_floor_of_the_decimal_product():
    assert [n_corrupted(rate, 100) for rate in (0.29, 0.57, 0.299)] == [29, 57, 29]


def test_a_rate_that_corrupts_nothing_is_an_error():
    X = np.random.default_rng(0).normal(size=(20, 10))
    with pytest.raises(ValueError, match=r"corruption_rate=0\.05 of n_features=10"):
        ScarfTransformer((8,), corruption_rate=0.05, max_epochs=1).fit(X)


@pytest.mark.parametrize("weights", [{0: -1.0}, {0: np.nan}, dict.fromkeys(range(4), 0)])
def test_class_weights_that_mean_nothing_are_an_error(weights, data, scarf):
    with pytest.raises(ValueError, match="class_weight"):
        SSLClassifier(scarf, mode="frozen", class_weight=weights).fit(*data)


def test_losses_are_float32_in_bfloat16_training():
    z = torch.randn(8, 4, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    assert cosine_loss(z, z.flip(0)).dtype == torch.float32
    assert info_nce(z, z.flip(0), 1.0, symmetric=True).dtype == torch.float32
    X = np.random.default_rng(0).normal(size=(20, 10))
    byol = ByolTransformer((8,), max_epochs=2, precision="bfloat16", device="cpu").fit(X)
    assert np.isfinite(byol.loss_curve_).all()


def test_few_samples_of_many_classes_raise_no_warning(data, scarf):
    y = np.arange(80) % 45
    clf = SSLClassifier(scarf, mode="frozen", random_state=0).fit(data[0], y)  # warnings are errors
    assert clf.predict_proba(data[0]).shape == (80, 45)
    clf.fit(data[0][:60], y[:60], X_unlabeled=data[0][60:])
    assert "propagated" in clf.head_.experts_


def test_an_encoder_that_is_no_estimator_is_a_type_error(data):
    class Encoder:
        def fit(self, X):
            return self

        def transform(self, X):
            return X

    with pytest.raises(TypeError, match="no scikit-learn estimator"):
        SSLClassifier(Encoder(), mode="frozen").fit(*data)
    with pytest.raises(ValueError, match="encoder is None"):
        SSLClassifier().set_params(encoder__lr=1.0)


def test_a_pyarrow_table_is_taken_by_its_column_names(data, scarf):
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(data[0], columns=[f"G{i}" for i in range(60)])
    fitted = ScarfTransformer((8,), max_epochs=1, random_state=0).fit(frame)
    Z = fitted.transform(pa.Table.from_pandas(frame))
    np.testing.assert_array_equal(Z, fitted.transform(frame))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("kind", ["pretrainer", "classifier"])
def test_a_refit_that_fails_leaves_the_earlier_fit_whole(kind, error, data, monkeypatch):
    X, y = data
    frame = pd.DataFrame(X, columns=[f"G{i}" for i in range(60)])
    estimator = ScarfTransformer((12, 8), max_epochs=2, random_state=0)
    if kind == "classifier":
        estimator = SSLClassifier(estimator, max_epochs=2, random_state=0)
    estimator.fit(frame, y)
    Z, state = estimator.transform(frame), dict(vars(estimator))

    def interrupted(self, *args):
        raise error("stop")

    monkeypatch.setattr("sslgex._training.engine.Engine.train_batch", interrupted)
    with pytest.raises(error):
        estimator.fit((5 * frame + 3).rename(columns=str.lower), 1 - (y > 1))
    assert vars(estimator).keys() == state.keys()
    np.testing.assert_array_equal(estimator.transform(frame), Z)


def test_a_first_fit_that_fails_leaves_nothing_behind(data):
    scarf = ScarfTransformer((12, 8), max_epochs=2, lr=1e20, random_state=0)
    before = set(vars(scarf))
    with pytest.raises(ValueError, match="blew up"):
        scarf.set_params(max_epochs=30).fit(data[0])
    assert set(vars(scarf)) == before
