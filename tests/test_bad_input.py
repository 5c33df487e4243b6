"""Bad input gets an error that names the cause, the numbers and the cure, one test each."""

import re

import anndata as ad
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._training.seeds import Seeds

METHODS = [ScarfTransformer, VimeTransformer, ByolTransformer]
ESTIMATORS = [*METHODS, SSLClassifier]
N, GENES = 30, 12
NAMES = [f"gene{j}" for j in range(GENES)]
RNG = np.random.default_rng(0)
Y = np.arange(N) % 2
X = RNG.normal(size=(N, GENES)).astype(np.float32)
X[:, :3] += 2 * Y[:, None]  # something to learn: labels of noise are worth a warning
FRAME = pd.DataFrame(X, columns=NAMES)
ANNDATA = ad.AnnData(X, var=pd.DataFrame(index=NAMES), layers={"log": X, "raw": X})

every_estimator = pytest.mark.parametrize("cls", ESTIMATORS)
every_method = pytest.mark.parametrize("cls", METHODS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads only wait for each other in networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(cls, **params):
    return cls(**{"hidden_layer_sizes": (8,), "max_epochs": 1, "device": "cpu", **params})


FITTED = {cls: small(cls, random_state=0).fit(X, Y) for cls in ESTIMATORS}
NAMED = {cls: small(cls, random_state=0).fit(FRAME, Y) for cls in ESTIMATORS}
SCARF = FITTED[ScarfTransformer]


def with_value(value, dtype=np.float32):
    values = X.astype(dtype)
    values[4, 7] = value
    return values


def raises(match, error=ValueError):
    """Expect ``error`` whose message holds these pieces in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, match)))


def both(cls, bad, match, named=False, error=ValueError):
    """`fit` and `transform` refuse ``bad`` alike."""
    with raises(match, error):
        small(cls).fit(bad, Y[: len(Y) if not hasattr(bad, "shape") else bad.shape[0]])
    with raises(match, error):
        (NAMED if named else FITTED)[cls].transform(bad)


# ---------------------------------------------------------------------------- values of X

NOT_FINITE = {
    "array": lambda X: X,
    "float16": lambda X: X.astype(np.float16),
    "csr": sp.csr_matrix,
    "csc": sp.csc_array,
    "tensor": torch.tensor,
    "list": np.ndarray.tolist,
}
NOT_FINITE_NAMED = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "anndata": lambda X: ad.AnnData(X, var=pd.DataFrame(index=NAMES)),
}


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("kind", NOT_FINITE)
@every_estimator
def test_nan_and_infinity(cls, kind, value, word):
    match = ["Input X contains", word, "1 values are not finite", "row 4, column 7", "Impute"]
    both(cls, NOT_FINITE[kind](with_value(value)), match)


@pytest.mark.parametrize("kind", NOT_FINITE_NAMED)
@every_estimator
def test_nan_names_the_gene(cls, kind):
    bad = NOT_FINITE_NAMED[kind](with_value(np.nan))
    both(cls, bad, ["Input X contains NaN", "row 4, gene 'gene7'", "Impute"], named=True)


@every_estimator
def test_missing_values_of_pandas_and_polars(cls):
    nullable = FRAME.astype("Float32")
    nullable.iloc[4, 7] = pd.NA
    both(cls, nullable, ["Input X contains NaN", "row 4, gene 'gene7'"], named=True)
    null = pl.DataFrame(X, schema=NAMES).with_columns(gene7=pl.lit(None, dtype=pl.Float32))
    both(cls, null, ["Input X contains NaN", f"{N} values", "row 0, gene 'gene7'"], named=True)


STRINGS = {
    "array": X.astype(str),
    "objects": X.astype(str).astype(object).tolist(),
    "pandas": FRAME.assign(gene7="high"),
    "polars": pl.DataFrame(X, schema=NAMES).with_columns(gene7=pl.lit("high")),
}
STRINGS["objects"][0][0] = "high"


@pytest.mark.parametrize("kind", STRINGS)
@every_estimator
def test_strings(cls, kind):
    named = kind in ("pandas", "polars")
    both(cls, STRINGS[kind], ["string", "X must hold numbers only"], named=named)


@every_estimator
def test_one_dimension(cls):
    both(cls, X[0], ["Expected 2D array, got 1D array instead", "Reshape your data"])
    both(cls, FRAME["gene1"], ["Expected a 2-dimensional container"])


@every_estimator
def test_no_row(cls):
    both(cls, X[:0], ["Found array with 0 sample(s)", f"(0, {GENES})"])


@every_estimator
def test_one_row_to_fit(cls):
    with raises(["Found array with 1 sample(s)", "minimum of 2", "transposed"]):
        small(cls).fit(X[:1], Y[:1])
    assert FITTED[cls].transform(X[:1]).shape == FITTED[cls].transform(X)[:1].shape


@every_estimator
def test_no_gene(cls):
    both(cls, X[:, :0], ["Found array with 0 feature(s)", f"({N}, 0)", "at least one of each"])


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, pd.DataFrame])
@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])
@every_estimator
def test_all_genes_constant(cls, kind, value):
    with raises([f"All {GENES} genes are constant", f"{N} samples"]):
        small(cls).fit(kind(np.full((N, GENES), value)), Y)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(("value", "dtype"), [(1e30, "f4"), (-1e30, "f8"), (1e300, "f8")])
@every_estimator
def test_a_value_whose_square_overflows_names_the_gene(cls, value, dtype, kind):
    both(cls, kind(with_value(value, dtype)), ["gene 7", "square overflows float32", "Correct it"])


@every_estimator
def test_an_overflowing_value_names_the_gene_by_name(cls):
    bad = pd.DataFrame(with_value(1e30), columns=NAMES)
    both(cls, bad, ["gene 'gene7' (column 7)", "overflows"], named=True)
    with raises(["gene 'gene7' (column 7) holds the value 1e+30"]):
        small(cls).fit(bad, Y)


@pytest.mark.parametrize("head", ["linear", "pooled", "sgd"])
@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_an_overflowing_value_for_a_classifier_with_a_fitted_encoder(mode, head):
    clf = SSLClassifier(SCARF, mode=mode, head=head, max_epochs=1, device="cpu")
    with raises(["gene 7", "square overflows float32"]):
        clf.fit(with_value(1e30), Y)


# ------------------------------------------------------------------------------- genes of X


@every_estimator
def test_fewer_and_more_genes_than_at_fit(cls):
    for bad in (X[:, :5], np.hstack([X, X])):
        with raises([f"X has {bad.shape[1]} features, but {cls.__name__} is expecting {GENES}"]):
            FITTED[cls].transform(bad)
    with raises(["seen at fit time, yet now missing", "2 of 12 genes are missing (first: gene10)"]):
        NAMED[cls].transform(FRAME.iloc[:, :10])
    with raises(["unseen at fit time", "1 genes of X were not in fit (first: new)"]):
        NAMED[cls].transform(FRAME.assign(new=1.0))


@every_estimator
def test_other_gene_names(cls):
    match = ["The feature names should match", "1 of 12 genes are missing (first: gene3)"]
    match += ["1 genes of X were not in fit (first: TP53)", "GeneAligner", "feature_names_in_"]
    with raises(match):
        NAMED[cls].transform(FRAME.rename(columns={"gene3": "TP53"}))
    with raises(match):
        NAMED[cls].transform(pl.DataFrame(X, schema=["TP53" if n == "gene3" else n for n in NAMES]))


@pytest.mark.parametrize("values", [FRAME, ANNDATA], ids=["pandas", "anndata"])
@every_estimator
def test_the_same_genes_in_another_order(cls, values):
    with raises(["must be in the same order", "same in another order", "feature_names_in_"]):
        NAMED[cls].transform(values[:, NAMES[::-1]] if values is ANNDATA else FRAME[NAMES[::-1]])


@every_estimator
def test_duplicate_gene_names(cls):
    frame = FRAME.rename(columns={"gene3": "gene2", "gene4": "gene2"})
    with raises(["unique", "'gene2'", "3 times", "Merge"]):
        small(cls).fit(frame, Y)
    adata = ANNDATA.copy()
    adata.var_names = list(frame.columns)
    with raises(["must be unique", "1 of 10", "first: 'gene2', 3 times", "Merge"]):
        small(cls).fit(adata, Y)


@every_method
def test_unlabelled_rows_over_other_genes(cls):
    with raises(["has 5 features", f"expecting {GENES} features"]):
        small(cls).fit(X, X_unlabeled=X[:, :5])
    with raises(["X_unlabeled"]):
        small(cls).fit(X, X_unlabeled=[X, X[:, :5]])
    with raises(["same in another order"]):
        small(cls).fit(FRAME, X_unlabeled=FRAME[NAMES[::-1]])


# --------------------------------------------------------------------------------- AnnData


@every_method
def test_a_layer_that_the_anndata_lacks(cls):
    with raises(["no layer 'counts'", "it has ['log', 'raw']", "layer=None"]):
        small(cls, layer="counts").fit(ANNDATA)
    with raises(["no layer 'counts'"]):
        SSLClassifier(small(cls, layer="counts"), mode="frozen").fit(ANNDATA, Y)


@every_method
def test_a_layer_of_something_that_has_none(cls):
    for other in (X, FRAME, sp.csr_matrix(X)):
        with raises(["layer='log'", f"X is a {type(other).__name__}", "layer=None"]):
            small(cls, layer="log").fit(other)


def test_an_anndata_on_disk(tmp_path):
    ANNDATA.write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    match = ["backed by the file", "x.h5ad", "to_memory()"]
    both(SSLClassifier, backed, match, named=True, error=TypeError)
    with raises(match, TypeError):
        small(ScarfTransformer).fit(FRAME, X_unlabeled=backed)
    backed.file.close()


@every_estimator
def test_an_anndata_without_x(cls):
    adata = ad.AnnData(shape=ANNDATA.shape, layers={"log": X})
    both(cls, adata, ["no X", "['log']"])


@every_estimator
def test_a_sparse_tensor(cls):
    both(cls, torch.tensor(X).to_sparse(), ["sparse", "scipy CSR matrix"], error=TypeError)


# ------------------------------------------------------------------------------ parameters

OUT_OF_RANGE = [
    ("corruption_rate", METHODS, [0, 0.0, 1.0, 1, -0.1, 1.5, np.nan, "0.3", None]),
    ("temperature", [ScarfTransformer], [0, -1.0, np.nan, np.inf, "1"]),
    ("projection_sizes", [ScarfTransformer, ByolTransformer], [(), (0,), (8, -1), 8, (2.5,)]),
    ("prediction_sizes", [ByolTransformer], [(), (0,), 256, ("8",)]),
    ("decoder_sizes", [VimeTransformer], [(0,), (8, -1), 8, (2.5,), None]),
    ("alpha", [VimeTransformer], [-0.1, np.nan, np.inf, "2"]),
    ("ema_decay", [ByolTransformer], [0.0, 1.0, -0.5, 1.1, np.nan]),
    ("ema_schedule", [ByolTransformer], ["linear", None]),
    ("symmetric", [ScarfTransformer, ByolTransformer], ["yes", 2]),
    ("hidden_layer_sizes", ESTIMATORS, [(), (0,), (8, -1), 8, (2.5,), "8", None, (True,)]),
    ("dropout", ESTIMATORS, [-0.1, 1.0, 2, np.nan]),
    ("lr", ESTIMATORS, [0, -1e-3, np.nan, np.inf, "fast"]),
    ("weight_decay", ESTIMATORS, [-1e-3, np.nan, np.inf]),
    ("schedule", ESTIMATORS, ["cosine", None]),
    ("batch_size", ESTIMATORS, [0, 1, -8, 2.5, None]),
    ("max_epochs", ESTIMATORS, [0, -1, 1.5, None, "many"]),
    ("validation_fraction", ESTIMATORS, [0.0, 1.0, -0.2, 3]),
    ("early_stopping", ESTIMATORS, ["never", 2, None]),
    ("n_iter_no_change", ESTIMATORS, [0, -1, 2.5]),
    ("tol", ESTIMATORS, [-1e-3, np.nan]),
    ("architecture", METHODS, ["transformer", None]),
    ("embedding", METHODS, ["first", None]),
    ("warm_start", METHODS, ["yes", 2, None]),
    ("checkpoint", METHODS, [3, True]),
    ("checkpoint_every", METHODS, [0, 2.5, "often", "0 minutes", "-1 hours", "5 minutes ", None]),
    ("device", ESTIMATORS, [None, 0]),
    ("precision", ESTIMATORS, ["float16", None]),
    ("random_state", ESTIMATORS, ["seed", -1.5]),
    ("mode", [SSLClassifier], ["thawed", None]),
    ("head", [SSLClassifier], ["mlp", 3, None]),
    ("batch_norm", [SSLClassifier], ["never", None]),
    ("class_weight", [SSLClassifier], ["even", 2]),
]
CASES = [
    pytest.param(cls, name, value, id=f"{cls.__name__}-{name}-{value}")
    for name, classes, values in OUT_OF_RANGE
    for cls in classes
    for value in values
]


@pytest.mark.parametrize(("cls", "name", "value"), CASES)
def test_parameters_out_of_range(cls, name, value):
    with raises([name, cls.__name__, "must", "ot "], (ValueError, TypeError)):
        small(cls).set_params(**{name: value}).fit(X, Y)


def test_byol_refuses_early_stopping():
    with raises(["early_stopping=True", "falls for ever", "max_epochs", "spread"]):
        small(ByolTransformer, early_stopping=True).fit(X)


def test_byols_prediction_must_end_as_its_projection_does():
    with raises(["prediction_sizes must end as projection_sizes does", "9 and 8"]):
        small(ByolTransformer, projection_sizes=(8,), prediction_sizes=(4, 9)).fit(X)


@every_method
def test_a_hold_out_that_leaves_too_few_to_train_on(cls):
    with raises(["validation_fraction=0.9 of 6 samples leaves 1", "at least 2"]):
        small(cls, validation_fraction=0.9).fit(X[:6])


@every_estimator
def test_a_learning_rate_under_which_training_blows_up(cls):
    with raises(["lr"]):
        small(cls, lr=1e20, max_epochs=30).fit(X, Y)


@every_estimator
def test_an_unknown_preset(cls):
    with raises([f"{cls.__name__} has no preset 'paper'", "dradjat2025"]):
        cls.from_preset("paper")
    with raises([f"{cls.__name__} has no preset"], (ValueError, TypeError)):
        cls.from_preset(["dradjat2025"])


@every_estimator
def test_a_device_that_is_not_there(cls):
    missing = "cuda" if not torch.cuda.is_available() else "cuda:99"
    with raises([f"device='{missing}' is not available", "device='auto'"]):
        small(cls, device=missing).fit(X, Y)


@pytest.mark.parametrize("device", ["nonsense", "", "cuda:x"])
@every_estimator
def test_a_device_that_is_none(cls, device):
    with raises([f"device='{device}' is not a device", "'auto', 'cpu', 'cuda'"]):
        small(cls, device=device).fit(X, Y)


PREDICTING = ["predict", "predict_proba", "decision_function", "score"]


@pytest.mark.parametrize(
    ("cls", "method"),
    [*((cls, "transform") for cls in ESTIMATORS), *((SSLClassifier, m) for m in PREDICTING)],
)
def test_unfitted_use(cls, method):
    arguments = (X, Y) if method == "score" else (X,)
    with raises([f"This {cls.__name__} instance is not fitted yet"], NotFittedError):
        getattr(small(cls), method)(*arguments)


# ---------------------------------------------------------------------------------- labels


@pytest.fixture(params=["scratch", "fitted", "unfitted"])
def clf(request):
    encoder = {"scratch": None, "fitted": SCARF, "unfitted": small(ScarfTransformer)}
    return small(SSLClassifier, encoder=encoder[request.param])


def test_labels_of_another_length(clf):
    with raises(["inconsistent numbers of samples", f"[{N}, {N - 5}]"]):
        clf.fit(X, Y[:-5])
    with raises(["inconsistent numbers of samples"]):
        clf.fit(X, Y).score(X, Y[:-5])


def test_labels_with_nan(clf):
    with raises(["Input y contains NaN", "unlabeled_label=-1"]):
        clf.fit(X, np.where(np.arange(N) < 3, np.nan, Y))


@pytest.mark.parametrize("label", [1, "LumA", 2.0])
def test_one_class(clf, label):
    shown = re.escape(repr(label))
    with pytest.raises(ValueError, match=f"number of classes.*1 class.*{N} labelled.* {shown}"):
        clf.fit(X, [label] * N)


def test_no_label_at_all(clf):
    match = ["no labelled sample", f"all {N} are unlabelled", "ScarfTransformer"]
    with raises(match):
        clf.set_params(unlabeled_label=-1).fit(X, np.full(N, -1))
    with raises(match):
        clf.set_params(unlabeled_label=None).fit(X, np.full(N, None))
    with raises(["requires y to be passed"]):
        clf.fit(X, None)


def test_missing_integer_labels_among_objects_mean_unlabelled():
    for y in ([None, None, *Y[2:].tolist()], pd.array([pd.NA, None, *Y[2:]], dtype="Int64")):
        clf = small(SSLClassifier, encoder=SCARF, mode="frozen").fit(X, np.asarray(y, object))
        assert clf.classes_.tolist() == [0, 1]


def test_continuous_and_two_dimensional_labels(clf):
    with raises(["Unknown label type: continuous"]):
        clf.fit(X, X[:, 0])
    with raises(["y should be a 1d array", f"({N}, 2)"]):
        clf.fit(X, np.stack([Y, Y], axis=1))


def test_unlabelled_rows_without_an_encoder_to_pretrain():
    clf = small(SSLClassifier)
    match = ["of no use with encoder=None", "encoder=ScarfTransformer()", "mode='frozen'"]
    with raises(match):
        clf.fit(X, Y, X_unlabeled=X)
    with raises(match):
        clf.fit(X, np.where(np.arange(N) < 3, None, Y.astype(str)))
    with raises(match):
        clf.set_params(unlabeled_label=-1).fit(X, np.where(np.arange(N) < 3, -1, Y))


# --------------------------------------------------------------------------------- encoders


@pytest.mark.parametrize(
    ("encoder", "match"),
    [
        (ScarfTransformer, ["encoder is the class ScarfTransformer", "instance"]),
        (torch.nn.Linear(2, 2), ["'encoder' parameter of SSLClassifier", "'fit' and 'transform'"]),
        (SCARF.encoder_, ["'encoder' parameter of SSLClassifier", "'fit' and 'transform'"]),
        ("scarf", ["'encoder' parameter of SSLClassifier", "'scarf'"]),
        (PCA(2), ["mode='unfrozen'", "PCA", "mode='frozen'"]),
        (FrozenEstimator(PCA(2).fit(X)), ["mode='unfrozen'", "PCA", "mode='frozen'"]),
        (FITTED[SSLClassifier], ["mode='unfrozen'", "SSLClassifier"]),
    ],
    ids=["class", "module", "encoder_", "string", "pca", "frozen-pca", "classifier"],
)
def test_an_encoder_of_the_wrong_type(encoder, match):
    with raises(match, (TypeError, ValueError)):
        small(SSLClassifier, encoder=encoder).fit(X, Y)


def test_an_encoder_that_needs_labels():
    for encoder in (LinearDiscriminantAnalysis(), small(SSLClassifier)):
        with raises(["encoder", type(encoder).__name__, "labels"], TypeError):
            small(SSLClassifier, encoder=encoder, mode="frozen").fit(X, Y)


def test_a_frozen_estimator_around_an_unfitted_encoder():
    with raises(["FrozenEstimator around a ScarfTransformer", "not fitted"], NotFittedError):
        small(SSLClassifier, encoder=FrozenEstimator(small(ScarfTransformer))).fit(X, Y)


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_a_fitted_encoder_with_other_genes_than_x(mode):
    with raises([f"X has 5 features, but ScarfTransformer is expecting {GENES} features"]):
        small(SSLClassifier, encoder=SCARF, mode=mode).fit(X[:, :5], Y)
    named = NAMED[ScarfTransformer]
    with raises(["1 of 12 genes are missing (first: gene3)", "(first: TP53)"]):
        small(SSLClassifier, encoder=named, mode=mode).fit(
            FRAME.rename(columns={"gene3": "TP53"}), Y
        )


def test_a_head_that_cannot_be_trained_with_the_encoder():
    with raises(["'head' parameter of SSLClassifier", "'predict'", "PCA()"]):
        small(SSLClassifier, head=PCA()).fit(X, Y)
    with raises(["head=SVC()", "mode='frozen'"]):
        small(SSLClassifier, head=SVC()).fit(X, Y)


# --------------------------------------------------------------------------------- pools


def scarf_classifier():
    return SSLClassifier(small(ScarfTransformer), mode="frozen", random_state=0)


def test_a_list_of_rows_or_labels_as_a_pool():
    for pool in (list(X), (X, Y), X.tolist()):
        with raises(["is taken for", "has one dimension"]):
            scarf_classifier().fit(X, Y, X_unlabeled=pool)
        with raises(["is taken for"]):
            small(ScarfTransformer).fit(X, X_unlabeled=pool)


def test_a_path_as_a_pool(tmp_path):
    for path in ("pool.h5ad", tmp_path / "pool.h5ad"):
        with raises(["the path", "pool.h5ad", "read"], error=TypeError):
            scarf_classifier().fit(X, Y, X_unlabeled=path)


@pytest.mark.parametrize("fitted", [False, True])
def test_a_bad_value_in_a_pool_is_sought_there(fitted):
    bad = X.copy()
    bad[2, 3] = 1e30
    encoder = small(ScarfTransformer)
    encoder = encoder.fit(X) if fitted else encoder
    with raises(["gene 3 ", "matrix 1 of X_unlabeled"]):
        SSLClassifier(encoder, mode="frozen").fit(X, Y, X_unlabeled=[X, bad])
    with pytest.raises(ValueError, match=r"gene 3 (?!(?s:.*)X_unlabeled)"):
        SSLClassifier(encoder, mode="frozen").fit(bad, Y, X_unlabeled=[X])


def test_equal_samples_to_train_on_beside_others_held_out():
    X = np.zeros((20, 5), dtype=np.float32)
    X[0] = np.arange(5)
    seeds = [s for s in range(20) if _held_out(X, s)]
    with raises(["are all the same: there is nothing to learn. 2 more are held out"]):
        small(ScarfTransformer, validation_fraction=0.1, random_state=seeds[0]).fit(X)


def _held_out(X, seed):
    split = ScarfTransformer(validation_fraction=0.1)._split(len(X), Seeds(seed))
    return 0 in split[1]


# Warnings point at the caller


def test_warnings_name_the_line_of_the_user():
    fitted = small(ScarfTransformer).fit(X)
    with pytest.warns(UserWarning, match="X_unlabeled is not used") as told:
        SSLClassifier(fitted, mode="frozen", head="linear").fit(X, Y, X_unlabeled=X)
    assert {w.filename for w in told} == {__file__}
    for head in ("sgd", "linear"):
        clf = SSLClassifier(fitted, head=head, early_stopping=True, max_epochs=1)
        with pytest.warns(UserWarning, match="Too few labels for early stopping") as told:
            clf.fit(X[:4], Y[:4])
        assert {w.filename for w in told} == {__file__}
