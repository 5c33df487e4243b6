"""What comes along beside X and y: the audit sees it, or says that it cannot."""

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sslgex.evaluation import audit_leakage
from sslgex.preprocessing import BatchCorrector

N = 60
X = np.random.default_rng(0).normal(size=(N, 40))
Y = np.random.default_rng(1).integers(0, 2, N)
CLASSES = np.array(["normal", "tumour"])[Y]
STUDY = np.array(["u", "v", "w"])[np.arange(N) % 3]
IN_X = "labels of the test rows, held in {}, change its output"
DOUBLES = "identical rows are in the training and in the test rows"


def audit(steps, X=X, y=CLASSES, *, groups=range(N), n_permutations=0, **kwargs):
    return audit_leakage(steps, X, y, groups, n_permutations=n_permutations, **kwargs)


def found(report):
    return [(finding.step, finding.what) for finding in report.findings]


def with_obs():
    obs = pd.DataFrame(
        {"label": pd.Categorical(CLASSES), "study": STUDY}, index=[f"s{i}" for i in range(N)]
    )
    return anndata.AnnData(X.copy(), obs=obs)


class Shift:
    """Give the label away, which the object or its method holds."""

    def __init__(self, labels):
        self.labels = labels

    def __call__(self, X, y):
        return self.apply(X, y)

    def apply(self, X, y):
        return X + (self.labels == "tumour")[:, None]


class ShiftByObs(TransformerMixin, BaseEstimator):
    def fit(self, adata, y=None):
        self.fitted_ = True
        return self

    def transform(self, adata):
        return shift_by_obs(adata, None)


def shift_by_obs(adata, y):
    return adata.X + (adata.obs["label"] == "tumour").to_numpy()[:, None]


def shift_by_global(X):
    return X + (CLASSES == "tumour")[:, None]


def shift_by_helper(X, y):
    return shift_by_global(X)


# Labels that are read from outside: each of these was called clean, without a note


@pytest.mark.parametrize(
    "step",
    [Shift(CLASSES), Shift(CLASSES).apply, shift_by_helper],
    ids=["callable object", "bound method", "helper function"],
)
def test_labels_behind_a_callable_are_not_called_clean(step):
    report = audit([("shift", step), ("clf", GaussianNB())])
    assert report.unaudited == ["shift"]


@pytest.mark.parametrize("kind", ["frame", "AnnData"])
def test_labels_in_a_table_read_from_outside_are_not_called_clean(kind):
    table = with_obs() if kind == "AnnData" else with_obs().obs

    def shift(X, y):
        return X + len(table)

    report = audit([("shift", shift), ("clf", GaussianNB())])
    assert "reads 'table' from outside, which holds the labels" in report.notes[0]


def test_a_helper_is_named_with_what_it_reads():
    report = audit([("shift", shift_by_helper), ("clf", GaussianNB())])
    assert "reads 'shift_by_global.CLASSES' from outside" in report.notes[0]


def test_a_function_that_calls_itself_is_followed_once():
    def halve(X, y, times=2):
        return halve(X / 2, y, times - 1) if times else X

    assert audit([("halve", halve), ("clf", GaussianNB())]).clean


# Labels in X itself


def test_labels_that_a_callable_reads_from_obs_are_found():
    report = audit([("shift", shift_by_obs), ("clf", GaussianNB())], with_obs())
    assert found(report) == [("shift", "labels of the test rows change its output")]


def test_labels_that_an_estimator_reads_from_obs_are_found():
    report = audit(make_pipeline(ShiftByObs(), GaussianNB()), with_obs())
    assert found(report) == [("shiftbyobs", IN_X.format("obs['label']"))]


def test_labels_in_obs_are_found_under_another_name_of_the_classes():
    report = audit(make_pipeline(ShiftByObs(), GaussianNB()), with_obs(), y=Y)
    assert found(report) == [("shiftbyobs", IN_X.format("obs['label']"))]


def test_labels_in_obs_are_permuted_with_y_where_accuracy_is_compared_with_chance():
    steps = [("shift", shift_by_obs), ("clf", LogisticRegression())]
    assert found(audit(steps, with_obs(), n_permutations=3))[-1][0] == "all steps"


def test_labels_in_obs_that_no_step_reads_are_clean():
    pipeline = make_pipeline(BatchCorrector(batch="study"), GaussianNB())
    report = audit(pipeline, with_obs())
    assert report.clean
    assert report.notes == []


def test_the_audit_leaves_obs_as_it_is():
    adata = with_obs()
    audit([("shift", shift_by_obs), ("clf", GaussianNB())], adata)
    assert adata.obs["label"].tolist() == CLASSES.tolist()


KINDS = {
    "array": (np.asarray, "column 40 of X"),
    "pandas": (lambda X: pd.DataFrame(X).rename(columns="g{}".format), "column 'g40' of X"),
    "polars": (lambda X: pl.DataFrame(X, [f"g{j}" for j in range(41)]), "column 'g40' of X"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_left_in_a_column_of_X_are_found_at_the_first_step(kind):
    make, name = KINDS[kind]
    report = audit(make_pipeline(StandardScaler(), GaussianNB()), make(np.c_[X, Y]))
    assert found(report) == [("standardscaler", IN_X.format(name))]


def test_labels_in_a_column_that_is_left_out_are_clean():
    frame = pd.DataFrame(X).rename(columns="g{}".format).assign(label=CLASSES)
    drop = FunctionTransformer(lambda X: X.drop(columns="label"))
    assert audit(make_pipeline(drop, GaussianNB()), frame).clean


def test_a_continuous_y_is_not_found_in_every_gene():
    y = np.random.default_rng(2).normal(size=N)
    assert audit(make_pipeline(StandardScaler(), PCA(2)), y=y).clean


# Steps without a seed


@pytest.mark.parametrize("kind", ["fit_transform", "FrozenEstimator"])
def test_pca_without_a_seed_on_all_rows_is_found(kind):
    # At this size PCA is randomised: the audit gave up, and the report was clean.
    wide = np.random.default_rng(0).normal(size=(N, 600))
    step = PCA(5).fit_transform if kind == "fit_transform" else FrozenEstimator(PCA(5).fit(wide))
    assert "pca" in dict(found(audit([("pca", step), ("clf", GaussianNB())], wide)))


def test_the_estimator_of_a_bound_method_stays_as_it_is():
    pca = PCA(5)
    audit([("pca", pca.fit_transform), ("clf", GaussianNB())])
    assert pca.random_state is None
    assert not hasattr(pca, "components_")


# Missing values, and rows stored in several ways


@pytest.mark.parametrize("dtype", [object, "string"])
def test_missing_text_is_no_difference(dtype):
    # NaN differed from itself: the step was called unseeded. pandas.NA raised.
    smoker = pd.Series([None, "yes", "no"] * (N // 3), dtype=dtype)
    frame = pd.DataFrame(X).rename(columns="g{}".format).assign(smoker=smoker)

    def centre(X, y):
        numbers = X.select_dtypes("number").columns
        return X.assign(**(X[numbers] - X[numbers].mean()))

    drop = FunctionTransformer(lambda X: X.drop(columns="smoker"))
    report = audit([("centre", centre), ("drop", drop), ("clf", GaussianNB())], frame)
    assert found(report) == [("centre", "values of the test rows change the training rows")]


def unsorted(row):
    indices, data = row.indices[::-1], row.data[::-1]
    return sp.csr_matrix((data, indices, row.indptr), shape=row.shape)


def with_stored_zero(row):
    empty = np.setdiff1d(np.arange(row.shape[1]), row.indices)[:1]
    indices, data = np.r_[row.indices, empty], np.r_[row.data, 0.0]
    return sp.csr_matrix((data, indices, [0, len(data)]), shape=row.shape)


@pytest.mark.parametrize("stored", [unsorted, with_stored_zero])
def test_identical_sparse_rows_are_found_however_they_are_stored(stored):
    matrix = sp.random(N, 30, density=0.3, format="csr", random_state=0)
    matrix = sp.vstack([matrix[:-1], stored(matrix[0])]).tocsr()
    assert found(audit(LogisticRegression(), matrix)) == [("cv", DOUBLES)]


def test_identical_rows_are_found_where_one_has_a_negative_zero():
    doubled = X.copy()
    doubled[-1] = doubled[0]
    doubled[[0, -1], 0] = 0.0, -0.0
    assert found(audit(GaussianNB(), doubled)) == [("cv", DOUBLES)]


# Metadata routing


@pytest.fixture
def routed():
    with sklearn.config_context(enable_metadata_routing=True):
        step = BatchCorrector().set_fit_request(batch=True).set_transform_request(batch=True)
        yield make_pipeline(step, GaussianNB())


def test_params_reach_the_step_that_requests_them(routed):
    # Without them all samples would be one batch, and new batches no matter.
    splits = LeaveOneGroupOut().split(X, groups=STUDY)
    report = audit(routed, cv=splits, params={"batch": STUDY})
    assert found(report) == [("batchcorrector", "a test row depends on the other test rows")]


def test_known_batches_that_are_routed_are_clean(routed):
    report = audit(routed, params={"batch": STUDY.tolist()}, n_permutations=1)
    assert report.clean
    assert report.notes == []


def test_params_are_routed_under_their_alias():
    with sklearn.config_context(enable_metadata_routing=True):
        step = BatchCorrector().set_fit_request(batch="study").set_transform_request(batch="study")
        report = audit(make_pipeline(step, GaussianNB()), params={"study": STUDY})
    assert report.notes == []


def test_a_request_without_params_is_a_note(routed):
    assert "'batchcorrector' requests batch, which params does not hold" in audit(routed).notes[0]


def test_params_that_no_step_requests_are_refused(routed):
    with pytest.raises(ValueError, match=r"No step requests 'study'.*set_fit_request\(study=True"):
        audit(routed, params={"batch": STUDY, "study": STUDY})


@pytest.mark.parametrize("values", ["study", STUDY[1:], 3])
def test_params_that_are_not_one_per_sample_are_refused(routed, values):
    with pytest.raises(ValueError, match=r"params\['batch'\] must hold one value for each of 60"):
        audit(routed, params={"batch": values})


def test_params_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match="params must be a dict"):
        audit(GaussianNB(), params=["batch"])


def test_params_without_metadata_routing_are_refused():
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        audit(GaussianNB(), params={"batch": STUDY})


# A single split


def test_a_hold_out_script_that_learns_on_its_training_rows_is_clean():
    train, test = np.arange(40), np.arange(40, N)

    def select(X, y):
        return SelectKBest(k=5).fit(X[train], y[train]).transform(X)

    report = audit([("genes", select), ("clf", GaussianNB())], cv=[(train, test)])
    assert report.findings == []


def test_test_labels_are_found_in_a_single_split():
    split = np.arange(40), np.arange(40, N)
    steps = [("genes", SelectKBest(k=5).fit_transform), ("clf", GaussianNB())]
    assert ("genes", "labels of the test rows change its output") in found(audit(steps, cv=[split]))


# y and groups


@pytest.mark.parametrize("kind", [lambda y: y[:, None], pd.DataFrame, pl.DataFrame])
def test_labels_may_be_one_column(kind):
    assert audit(GaussianNB(), y=kind(CLASSES), n_permutations=1).clean


def test_no_labels_are_refused():
    with pytest.raises(ValueError, match="y is None"):
        audit(GaussianNB(), y=None)


def test_several_labels_of_a_sample_are_refused():
    with pytest.raises(ValueError, match=r"one label per sample, got shape \(60, 2\)"):
        audit(GaussianNB(), y=np.c_[Y, Y])


@pytest.mark.parametrize("kind", [list, np.array, pd.Series], ids=["list", "array", "series"])
def test_groups_of_tuples_are_refused(kind):
    groups = kind([("p", i // 2) for i in range(N)])
    with pytest.raises(ValueError, match=r"groups must be one value per sample, .* Join tuples"):
        audit(GaussianNB(), groups=groups)
