"""What diagnoses of encoders share: who is fitted on what, and how samples are corrupted."""

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.evaluation import label_efficiency_curve
from sslgex.evaluation._corrupted import check_rate, corrupted
from sslgex.evaluation._held_out import embed, look
from sslgex.evaluation._spectrum import embedding_spectrum

# Donors tell their row and gene; the samples are unlike any of them.
GENES, DONORS = 50, 20
FROM = np.add.outer(100.0 * np.arange(1, DONORS + 1), np.arange(GENES))
CLEAN = -np.add.outer(100.0 * np.arange(1, 31), np.arange(GENES))


def test_exactly_the_share_of_every_row_is_replaced_by_the_same_gene_of_a_donor():
    found = corrupted(CLEAN, FROM, 0.29, seed=0)
    replaced = found != CLEAN
    assert (replaced.sum(axis=1) == 14).all()  # floor(14.5)
    row, gene = np.nonzero(replaced)
    values = found[row, gene]
    np.testing.assert_array_equal(values % 100, gene)
    assert set(values // 100) == set(range(1, DONORS + 1))


def test_not_exactly_means_that_rows_differ_in_how_many_are_replaced():
    counts = (corrupted(CLEAN, FROM, 0.3, seed=0, exact=False) != CLEAN).sum(axis=1)
    assert len(set(counts)) > 3
    assert abs(counts.mean() - 15) < 3


def test_a_rate_of_one_leaves_nothing():
    assert (corrupted(CLEAN, FROM, 1.0, seed=0) > 0).all()


def test_one_seed_one_corruption():
    one, same, other = (corrupted(CLEAN, FROM, 0.3, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array])
def test_sparse_samples_and_donors_give_the_same_and_stay_sparse(kind):
    clean, donors = CLEAN * (CLEAN % 3 == 0), FROM * (FROM % 2 == 0)
    found = corrupted(kind(clean), kind(donors), 0.3, seed=0)
    assert type(found) is kind
    np.testing.assert_array_equal(found.toarray(), corrupted(clean, donors, 0.3, seed=0))


def test_a_data_frame_stays_one_and_is_not_changed():
    frame = pd.DataFrame(CLEAN, columns=[f"g{i}" for i in range(GENES)], index=np.arange(30) + 5)
    before = frame.copy()
    found = corrupted(frame, FROM, 0.3, seed=0)
    pd.testing.assert_frame_equal(frame, before)
    assert found.columns.equals(frame.columns)
    assert found.index.equals(frame.index)
    np.testing.assert_array_equal(found.to_numpy(), corrupted(CLEAN, FROM, 0.3, seed=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    found = corrupted(CLEAN.astype(dtype), FROM.astype(dtype), 0.3, seed=0)
    assert found.dtype == dtype


def test_more_values_than_pass_at_a_time():
    wide = np.zeros((3, 70_000), dtype=np.float32)
    found = corrupted(wide, wide[:2] + 1, 0.5, seed=0)
    assert (found.sum(axis=1) == 35_000).all()


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, True, "0.3", np.nan])
def test_rates_that_are_none(rate):
    with pytest.raises(ValueError, match="corruption_rate must be a number above 0"):
        check_rate("corruption_rate", rate, 100)


def test_a_rate_of_less_than_one_gene():
    assert check_rate("corruption_rate", 0.02, 50) == 0.02
    with pytest.raises(ValueError, match=r"0.01 of 50 genes is less than one gene.*0.02 or more"):
        check_rate("corruption_rate", 0.01, 50)


# Who is fitted on which samples, and looked at on which. The first gene is the sample's number.

N = 60
X = np.random.default_rng(0).normal(size=(N, 6))
X[:, 0] = np.arange(N)
Y = np.repeat(["a", "b", "c"], 20)
MORE = X[:10] + 1000
LOG: list[tuple] = []


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


class Spy(TransformerMixin, BaseEstimator):
    """An encoder that writes down what it is shown, and changes nothing."""

    def __init__(self, *, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        LOG.append(("fit", set(np.asarray(X)[:, 0].astype(int)), y, self.random_state))
        self.seen_ = len(X)
        return self

    def transform(self, X):
        check_is_fitted(self)
        LOG.append(("transform", set(np.asarray(X)[:, 0].astype(int))))
        return np.asarray(X).copy()


class ClassifierSpy(ClassifierMixin, Spy):
    """A classifier with an embedding."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return super().fit(X, y)


def rows_of(fitted, view):
    """A diagnosis: which samples there are, and who looks at them."""
    Z = embed(fitted, view.X)
    labels = None if view.y is None else view.y.tolist()
    groups = None if view.groups is None else view.groups.tolist()
    donors = view.donors[:, 0].astype(int).tolist()
    return Z[:, 0].astype(int).tolist(), donors, labels, groups, view.seed


def size_of(fitted, view, factor=1):
    """Another diagnosis."""
    return factor * embed(fitted, view.X).shape[1]


def seen(what):
    return [entry for entry in LOG if entry[0] == what]


def test_transformers_are_fitted_on_training_samples_without_labels_and_on_the_pool():
    found = look(rows_of, {"spy": Spy()}, X, Y, X_unlabeled=MORE, cv=3, random_state=0)["spy"]
    tested = [set(test) for test, *_ in found]
    assert set.union(*tested) == set(range(N))
    for test, (_, ids, y, seed) in zip(tested, seen("fit"), strict=True):
        assert ids == set(range(N)) - test | set(MORE[:, 0].astype(int))
        assert y is None
        assert seed is not None
    assert [ids for _, ids in seen("transform")] == tested


def test_classifiers_are_fitted_on_the_labels_of_training_samples():
    found = look(rows_of, ClassifierSpy(), X, Y, cv=3, random_state=0)["ClassifierSpy"]
    for (test, *_), (_, ids, y, _) in zip(found, seen("fit"), strict=True):
        assert ids == set(range(N)) - set(test)
        assert y.tolist() == [Y[i] for i in sorted(ids)]


def test_a_view_has_the_training_samples_as_donors_and_the_labels_and_groups_of_the_others():
    groups = np.arange(N) // 2
    patients = [f"patient {group:02}" for group in groups]
    found = look(rows_of, Spy(), X, Y, groups=patients, cv=3, random_state=0)["Spy"]
    for test, donors, labels, codes, _ in found:
        assert set(donors) == set(range(N)) - set(test)
        assert labels == Y[test].tolist()
        assert codes == groups[test].tolist()
        assert not set(codes) & set(groups[donors])
    assert len({seed for *_, seed in found}) == 3


def test_where_all_are_fitted_all_samples_are_looked_at_and_nothing_is_fitted():
    fitted = Spy().fit(MORE)
    before = joblib.hash(fitted)
    LOG.clear()
    # Every class is of one group, which only splits would mind.
    ((test, donors, labels, _, _),) = look(rows_of, fitted, X, Y, groups=Y, random_state=0)["Spy"]
    assert test == donors == list(range(N))
    assert labels == Y.tolist()
    assert not seen("fit")
    assert joblib.hash(fitted) == before


def test_fitted_and_unfitted_ones_are_looked_at_on_the_same_samples():
    entries = {"fitted": FrozenEstimator(Spy().fit(MORE)), "unfitted": Spy()}
    found = look(rows_of, entries, X, cv=3, random_state=0)
    assert found["fitted"] == found["unfitted"]
    assert len(seen("fit")) == 1 + 3
    with pytest.raises(NotFittedError):
        check_is_fitted(entries["unfitted"])


def test_a_fitted_one_beside_others_may_have_seen_the_samples():
    with pytest.warns(UserWarning, match="'fitted' is fitted, used as it is, beside others"):
        look(rows_of, {"fitted": Spy().fit(X), "unfitted": Spy()}, X, cv=3, random_state=0)


def test_a_pool_that_nobody_is_fitted_on_is_a_warning():
    with pytest.warns(UserWarning, match="X_unlabeled is not used"):
        look(rows_of, Spy().fit(X), X, X_unlabeled=MORE, random_state=0)


def test_the_cache_keeps_fits_for_other_diagnoses(tmp_path):
    sweep = {"cv": 3, "random_state": 0, "cache": tmp_path}
    first = look(rows_of, Spy(), X, Y, **sweep)
    LOG.clear()
    assert look(rows_of, Spy(), X, Y, **sweep) == first
    assert not LOG
    assert look(size_of, Spy(), X, Y, **sweep) == {"Spy": [6, 6, 6]}
    assert look(size_of, Spy(), X, Y, factor=2, **sweep) == {"Spy": [12, 12, 12]}
    assert len(seen("transform")) == 6
    assert not seen("fit")
    look(rows_of, Spy(), X, Y, **sweep | {"random_state": 1})
    assert len(seen("fit")) == 3


def test_the_cache_gives_a_diagnosis_the_encoders_of_a_curve(tmp_path):
    shared = {"cv": 3, "random_state": 0, "cache": tmp_path}
    entry = SSLClassifier(Spy(), mode="frozen", head="linear")
    label_efficiency_curve({"Spy": entry}, X, Y, label_sizes=[9], n_draws=1, **shared)
    assert len(seen("fit")) == 3
    LOG.clear()
    look(rows_of, Spy(), X, Y, **shared)
    assert not seen("fit")


def test_parallel_jobs_find_the_same():
    entries = {"PCA": PCA(3), "SCARF": ScarfTransformer((8,), max_epochs=2)}
    one, two = (
        embedding_spectrum(entries, X, Y, cv=2, n_jobs=n_jobs, random_state=0)
        for n_jobs in (None, 2)
    )
    for name in entries:
        np.testing.assert_array_equal(one.singular_values[name], two.singular_values[name])


def test_names_of_genes_reach_those_that_were_fitted_with_them_and_no_others():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    for encoder in (PCA(2), PCA(2).fit(frame), PCA(2).fit(X)):  # a warning would be an error
        assert set(look(size_of, encoder, frame, cv=2, random_state=0)["PCA"]) == {2}
    only_named = make_pipeline(ColumnTransformer([("two", "passthrough", ["b", "d"])])).fit(frame)
    assert look(size_of, only_named, frame)["Pipeline"] == [2]


def test_sparse_samples_stay_sparse():
    found = embedding_spectrum(TruncatedSVD(2), sp.csr_matrix(X), cv=2, random_state=0)
    assert found.n_dimensions["TruncatedSVD"].tolist() == [2, 2]


# The embedding


def test_the_embedding_of_a_pipeline_that_ends_in_a_classifier_is_before_the_classifier():
    pipeline = make_pipeline(StandardScaler(), PCA(2), GaussianNB()).fit(X, Y)
    Z = pipeline[1].transform(pipeline[0].transform(X))
    np.testing.assert_array_equal(embed(pipeline, X), Z)


def test_the_embedding_of_an_unfrozen_classifier_is_the_fine_tuned_one():
    encoder = ScarfTransformer((8,), max_epochs=2, random_state=0).fit(X)
    classifier = SSLClassifier(encoder, max_epochs=3, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(embed(classifier, X), classifier.transform(X))
    assert (embed(classifier, X) != embed(encoder, X)).any()


def test_an_embedding_that_is_not_finite():
    broken = FunctionTransformer(np.full_like, kw_args={"fill_value": np.nan})
    with pytest.raises(ValueError, match="NaN or infinity for 60 of 60 held-out samples"):
        embed(broken.fit(X), X)


@pytest.mark.parametrize(
    "estimator", [GaussianNB(), Ridge(), Pipeline([("only", GaussianNB())])], ids=repr
)
def test_estimators_without_an_embedding(estimator):
    with pytest.raises(TypeError, match=r"'this' is a \w+, which has no transform"):
        embedding_spectrum({"this": estimator}, X, Y)


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ({}, ValueError, "estimators is empty"),
        (3, TypeError, "must be an estimator, a dict"),
        (PCA, TypeError, "must be an estimator, a dict"),
        ({"PCA": PCA}, TypeError, "'PCA' is the class PCA"),
        ({"PCA": "pca"}, TypeError, "'PCA' is 'pca', which is no"),
        ([("a", PCA()), ("a", PCA())], ValueError, "Names must be unique"),
        ({"c": ClassifierSpy()}, ValueError, r"\['c'\] are classifiers to be fitted: pass y"),
    ],
)
def test_what_cannot_be_looked_at(estimators, error, message):
    with pytest.raises(error, match=message):
        embedding_spectrum(estimators, X)
