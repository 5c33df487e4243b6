"""Leaks are found at their step, and what is clean is called clean."""

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedGroupKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.datasets import make_expression
from sslgex.evaluation import audit_leakage

N = 80
noise = pytest.mark.filterwarnings("ignore:Of the L2 penalties on offer:UserWarning")
PATIENTS = np.arange(N) // 2
GROUPED = StratifiedGroupKFold(5)


@pytest.fixture(scope="module")
def data():
    """Return profiles that know nothing of their labels."""
    sim = make_expression(N, 300, n_silent=0, class_sep=0, n_batches=2, random_state=0)
    return sim.data.astype(np.float64), sim.target


def small_scarf():
    return ScarfTransformer((8,), max_epochs=1, projection_sizes=(8,), random_state=0)


def audit(steps, data, *, cv=GROUPED, groups=PATIENTS, n_permutations=0, **params):
    return audit_leakage(steps, *data, groups, cv=cv, n_permutations=n_permutations, **params)


def found(report):
    """Return the (step, what) of all findings."""
    return [(finding.step, finding.what) for finding in report.findings]


VALUES = "values of the test rows change the training rows"
LABELS = "labels of the test rows change its output"
TRANSDUCTIVE = "a test row depends on the other test rows"
BOTH_SIDES = "groups are in the training and in the test rows"


# Scripts that leak


def scale_all(X, y):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def combat_by_label(X, y):
    """Centre each batch within each class, as ComBat does with labels as covariates."""
    batch = np.arange(len(y)) % 2
    new = X.copy()
    for c in np.unique(y):
        whole = X[y == c].mean(axis=0)
        for b in (0, 1):
            rows = (y == c) & (batch == b)
            new[rows] += whole - X[rows].mean(axis=0)
    return new


class BatchScaler(TransformerMixin, BaseEstimator):
    """Scale rows by what they come with."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X - X.mean(axis=0)


class LookUp(TransformerMixin, BaseEstimator):
    """Append the label of the profile that is the same."""

    def __init__(self, profiles, labels):
        self.profiles = profiles
        self.labels = labels

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        which = (X[:, None, :3] == self.profiles[None, :, :3]).all(axis=2).argmax(axis=1)
        return np.column_stack([X, np.asarray(self.labels)[which]])


def test_scaling_on_all_rows_is_found_at_its_step(data):
    report = audit([("scale", scale_all), ("clf", LogisticRegression())], data)
    assert found(report) == [("scale", VALUES)]


def test_scaling_reports_how_many_training_rows_change_and_by_how_much(data):
    (finding,) = audit([("scale", scale_all), ("clf", GaussianNB())], data).findings
    assert finding.evidence["rows changed"] == finding.evidence["of"] == 64
    assert finding.evidence["by up to"] > 0.1


def test_scaling_by_the_median_of_all_totals_is_found(data):
    def same_depth(X, y):
        total = X.sum(axis=1, keepdims=True)
        return X * np.median(total) / total

    assert found(audit([("depth", same_depth), ("clf", GaussianNB())], data)) == [("depth", VALUES)]


def test_a_step_that_uses_only_totals_is_found_where_all_are_equal(data):
    X = data[0] / data[0].sum(axis=1, keepdims=True)

    def of_mean_depth(X, y):
        return X / X.sum(axis=1).mean().round(6)

    steps = [("depth", of_mean_depth), ("clf", GaussianNB())]
    assert found(audit(steps, (X, data[1]))) == [("depth", VALUES)]


def test_gene_selection_on_all_rows_is_found_by_its_use_of_labels(data):
    steps = [("genes", SelectKBest(k=10).fit_transform), ("clf", GaussianNB())]
    assert ("genes", LABELS) in found(audit(steps, data))


def test_gene_selection_is_found_where_test_labels_alone_would_not_change_it():
    y = np.repeat([0, 1], 20)
    X = np.random.default_rng(0).standard_normal((40, 5))
    X[:, 0] += 100 * y
    steps = [("genes", SelectKBest(k=1).fit_transform), ("clf", GaussianNB())]
    report = audit(steps, (X, y), groups=None, cv=LeaveOneOut())
    assert ("genes", "labels of all rows change its output") in found(report)


def test_label_wise_combat_is_found_by_its_use_of_labels(data):
    report = audit([("combat", combat_by_label), ("clf", GaussianNB())], data)
    assert ("combat", LABELS) in found(report)


def test_label_wise_combat_changes_the_test_rows_too(data):
    report = audit([("combat", combat_by_label), ("clf", GaussianNB())], data)
    (labels,) = (finding for finding in report.findings if finding.what == LABELS)
    assert labels.evidence["test rows changed"] > 0


def test_two_leaks_at_two_steps_are_both_named(data):
    steps = [
        ("scale", scale_all),
        ("log", lambda X, y: np.sign(X) * np.log1p(abs(X))),
        ("genes", SelectKBest(k=10).fit_transform),
        ("clf", GaussianNB()),
    ]
    assert {step for step, _ in found(audit(steps, data))} == {"scale", "genes"}


def test_the_step_after_a_leak_is_not_blamed(data):
    steps = [("scale", scale_all), ("pca", PCA(5)), ("clf", GaussianNB())]
    assert {step for step, _ in found(audit(steps, data))} == {"scale"}


def test_a_batch_wise_transform_is_found(data):
    report = audit(make_pipeline(BatchScaler(), GaussianNB()), data)
    assert found(report) == [("batchscaler", TRANSDUCTIVE)]


def test_a_classifier_that_looks_at_its_test_batch_is_found(data):
    class Adapting(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return self.classes_[(X[:, 0] > np.median(X[:, 0])).astype(int)]

    assert found(audit(Adapting(), data)) == [("Adapting", TRANSDUCTIVE)]


def test_a_transformer_that_looks_labels_up_is_found(data):
    X, y = data
    report = audit(make_pipeline(LookUp(X, y), GaussianNB()), data)
    assert ("lookup", "labels of the test rows, held in labels, change its output") in found(report)


def test_labels_are_looked_up_by_name_in_the_container_they_are_held_in(data):
    class ByName(LookUp):
        def transform(self, X):
            return np.column_stack([X, self.labels.loc[X.index]])

    X = pd.DataFrame(data[0]).rename(index="s{}".format)
    step = ByName(None, pd.Series(data[1], index=X.index))
    report = audit(make_pipeline(step, GaussianNB()), (X, data[1]))
    assert [name for name, _ in found(report)] == ["byname"]


def test_a_transformer_that_holds_all_profiles_is_found(data):
    class Centred(LookUp):
        def transform(self, X):
            return X - self.profiles.mean(axis=0)

    report = audit(make_pipeline(Centred(data[0], None), GaussianNB()), data)
    what = "values of the test rows, held in profiles, change the training rows"
    assert found(report) == [("centred", what)]


def test_permuted_labels_are_predicted_after_gene_selection_on_all_rows(data):
    steps = [("genes", SelectKBest(k=10).fit_transform), ("clf", GaussianNB())]
    assert found(audit(steps, data, n_permutations=5))[-1][0] == "all steps"


def test_permuted_labels_alone_reveal_labels_that_are_passed_on_the_side(data):
    # The function leaves them in its own attribute, so that its output tells nothing.
    def pass_on(X, y):
        pass_on.labels = {x.tobytes(): label for x, label in zip(X, y, strict=True)}
        return X

    class Fetch(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.array([pass_on.labels.get(x.tobytes(), 0) for x in X])

    report = audit([("pass", pass_on), ("fetch", Fetch())], data, n_permutations=3)
    assert found(report) == [("all steps", "permuted labels of the test rows are predicted")]


# Splits


def test_patients_across_the_default_folds_are_found(data):
    report = audit(GaussianNB(), data, cv=None)
    assert ("cv", BOTH_SIDES) in found(report)


def test_patients_on_both_sides_are_counted(data):
    cv = [(np.arange(1, N), [0]), (np.arange(3), np.arange(4, 8))]
    (finding,) = audit(GaussianNB(), data, cv=cv).findings
    assert finding.evidence == {"groups": 1, "of": 40, "splits": 1}


def test_groups_are_looked_for_on_later_splits_too(data):
    clean = np.arange(0, 40), np.arange(40, N)
    torn = np.arange(0, 41), np.arange(41, N)
    assert found(audit(GaussianNB(), data, cv=[clean, torn])) == [("cv", BOTH_SIDES)]


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, pd.DataFrame])
def test_identical_rows_on_both_sides_are_found(data, kind):
    X, y = data[0].copy(), data[1]
    X[-1] = X[0]
    report = audit(GaussianNB() if kind is not sp.csr_array else Ridge(), (kind(X), y), cv=KFold(5))
    assert ("cv", "identical rows are in the training and in the test rows") in found(report)


def test_without_groups_a_note_says_that_patients_are_not_seen(data):
    report = audit(GaussianNB(), data, groups=None, cv=5)
    assert report.clean
    assert "No groups" in report.notes[0]


# Parts that are fitted already


def test_a_frozen_step_fitted_on_all_rows_is_found(data):
    pca = FrozenEstimator(PCA(5, random_state=0).fit(data[0]))
    report = audit(make_pipeline(pca, GaussianNB()), data)
    assert found(report) == [("frozenestimator", "its fitted PCA has seen the test rows")]


def test_a_frozen_step_after_another_is_found_by_its_own_input(data):
    scaler = StandardScaler().fit(data[0])
    pca = PCA(5, random_state=0).fit(scaler.transform(data[0]))
    steps = [("scale", FrozenEstimator(scaler)), ("pca", FrozenEstimator(pca)), ("c", GaussianNB())]
    assert [step for step, _ in found(audit(Pipeline(steps), data))] == ["scale", "pca"]


def test_a_frozen_step_inside_another_estimator_is_found(data):
    union = FeatureUnion([("pca", FrozenEstimator(PCA(5).fit(data[0])))])
    assert not audit(make_pipeline(union, GaussianNB()), data).clean


def test_a_frozen_step_fitted_on_the_training_rows_of_one_split_has_seen_those_of_others(data):
    train, _ = next(GROUPED.split(*data, PATIENTS))
    pca = FrozenEstimator(PCA(5, random_state=0).fit(data[0][train]))
    report = audit(make_pipeline(pca, GaussianNB()), data)
    assert found(report)[0][1] == "its fitted PCA has seen the test rows of the other splits"


def test_a_frozen_step_fitted_on_the_training_rows_of_the_only_split_is_clean(data):
    split = next(GROUPED.split(*data, PATIENTS))
    pca = FrozenEstimator(PCA(5, random_state=0).fit(data[0][split[0]]))
    report = audit(make_pipeline(pca, GaussianNB()), data, cv=[split])
    assert report.clean
    assert report.notes == []


def test_a_frozen_step_fitted_on_other_samples_is_a_note(data):
    pca = FrozenEstimator(PCA(5).fit(np.random.default_rng(0).standard_normal((50, 300))))
    report = audit(make_pipeline(pca, GaussianNB()), data)
    assert report.clean
    assert "cannot be told" in report.notes[0]


@noise
def test_a_pretrained_encoder_is_a_note(data):
    clf = SSLClassifier(small_scarf().fit(data[0]), mode="frozen", head="linear", random_state=0)
    report = audit(clf, data)
    assert report.clean
    assert "holds a ScarfTransformer that is fitted already" in report.notes[0]


def test_a_fitted_transformer_that_a_function_applies_is_found(data):
    scaler = StandardScaler().fit(data[0])
    report = audit([("scale", lambda X, y: scaler.transform(X)), ("clf", GaussianNB())], data)
    assert found(report) == [("scale", "its fitted StandardScaler has seen the test rows")]


def test_a_fitted_step_that_is_refitted_anyway_is_clean(data):
    pipeline = make_pipeline(PCA(5), GaussianNB()).fit(*data)
    assert audit(pipeline, data).notes == []


# What cannot be told


def test_labels_read_from_outside_are_a_note(data):
    y = data[1]
    report = audit([("combat", lambda X, _: combat_by_label(X, y)), ("clf", GaussianNB())], data)
    assert any("reads 'y' from outside" in note for note in report.notes)


def test_labels_that_a_method_reads_from_outside_are_a_note(data):
    y = data[1]

    class Peeking(BatchScaler):
        def transform(self, X):
            return X + y.mean()

    report = audit(make_pipeline(Peeking(), GaussianNB()), data)
    assert any("reads 'y' from outside" in note for note in report.notes)


def test_labels_in_the_arguments_of_a_function_are_a_note(data):
    step = FunctionTransformer(lambda X, labels: X, kw_args={"labels": data[1]})
    report = audit(make_pipeline(step, GaussianNB()), data)
    assert any("reads 'labels' from outside" in note for note in report.notes)


def test_values_computed_before_are_a_note(data):
    ready = scale_all(*data)
    report = audit([("scale", lambda X, y: ready), ("clf", GaussianNB())], data)
    assert any("whatever it gets" in note for note in report.notes)


def test_a_step_without_a_seed_is_a_note_and_no_leak(data):
    rng = np.random.default_rng(0)
    report = audit([("noise", lambda X, y: X + rng.random(X.shape)), ("c", GaussianNB())], data)
    assert report.findings == []
    assert "Seed it" in report.notes[0]


def test_a_step_that_could_not_be_audited_is_not_called_clean(data):
    # The report was clean, whatever the step does.
    rng = np.random.default_rng(0)
    report = audit([("noise", lambda X, y: X + rng.random(X.shape)), ("c", GaussianNB())], data)
    assert report.unaudited == ["noise"]
    assert not report.clean
    assert str(report).startswith("LeakageReport: not clean: 1 step could not be audited, 1 note")


# What is clean

CLEAN = {
    "pipeline": make_pipeline(StandardScaler(), SelectKBest(k=10), LogisticRegression()),
    "scarf": make_pipeline(small_scarf(), LogisticRegression(max_iter=1000)),
    "ssl": SSLClassifier(small_scarf(), mode="frozen", head="linear", random_state=0),
    "grid": GridSearchCV(
        make_pipeline(PCA(random_state=0), GaussianNB()), {"pca__n_components": [2, 3]}
    ),
    "grid step": make_pipeline(PCA(5), GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-8]})),
    "function": [("log", lambda X, y: np.log1p(X)), ("clf", GaussianNB())],
    "transformer": StandardScaler(),
    "regressor": Ridge(),
    "passthrough": Pipeline([("none", "passthrough"), ("clf", GaussianNB())]),
}


@noise
@pytest.mark.parametrize("name", CLEAN)
def test_clean_is_called_clean(data, name):
    report = audit(CLEAN[name], data, n_permutations=1)
    assert report.clean, report
    assert report.notes == []


KINDS = {
    "frame": lambda X: pd.DataFrame(X, columns=[f"g{j}" for j in range(X.shape[1])]),
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
    "anndata": lambda X: anndata.AnnData(X),
    "float32": lambda X: X.astype(np.float32),
    "list": lambda X: X.tolist(),
    "fortran frame": lambda X: pd.DataFrame(np.asfortranarray(X)),
    "polars": pl.DataFrame,
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_matrix_is_clean_in_a_clean_pipeline(data, kind):
    X = KINDS[kind](data[0])
    pipeline = make_pipeline(small_scarf(), SelectKBest(k=5), GaussianNB())
    assert audit(pipeline, (X, data[1])).clean


@pytest.mark.parametrize("kind", KINDS)
def test_leaks_are_found_in_any_kind_of_matrix(data, kind):
    def scale(X, y):
        values = X.X if hasattr(X, "var_names") else X
        values = values.toarray() if sp.issparse(values) else np.asarray(values)
        return values / values.max(axis=0)

    X = KINDS[kind](data[0])
    assert found(audit([("s", scale), ("clf", GaussianNB())], (X, data[1]))) == [("s", VALUES)]


def test_leaks_are_found_in_a_layer(data):
    adata = anndata.AnnData(data[0], layers={"scaled": data[0].copy()})

    def scale(adata, y):
        adata.layers["scaled"] = adata.layers["scaled"] - adata.layers["scaled"].mean(axis=0)
        return adata

    scarf = small_scarf().set_params(layer="scaled")
    steps = [("scale", scale), ("scarf", scarf), ("clf", GaussianNB())]
    assert found(audit(steps, (adata, data[1]))) == [("scale", VALUES)]


# Sums over genes are rounded by their order in memory, which a copy of a frame may change.
def depth(X, y=None):
    return X / X.to_numpy().sum(axis=1, keepdims=True)


@pytest.mark.parametrize("step", [depth, FunctionTransformer(depth)], ids=["callable", "estimator"])
def test_rounding_by_the_layout_in_memory_is_no_leak(data, step):
    steps = [("depth", step), ("clf", GaussianNB())]
    assert audit(steps, (pd.DataFrame(data[0]), data[1])).clean


def test_columns_of_text_are_let_be(data):
    X = pd.DataFrame(data[0][:, :4], columns=list("abcd")).assign(sex=["f", "m"] * (N // 2))
    drop = FunctionTransformer(lambda X: X.drop(columns="sex"))
    assert audit(make_pipeline(drop, GaussianNB()), (X, data[1])).clean


def test_series_of_labels_keep_their_index(data):
    y = pd.Series(data[1], index=[f"s{i}" for i in range(N)])
    X = pd.DataFrame(data[0], index=y.index)
    steps = [("by name", lambda X, y: X.add(y.loc[X.index], axis=0)), ("clf", GaussianNB())]
    assert found(audit(steps, (X, y))) == [("by name", LABELS)]


def test_perturbed_counts_stay_counts():
    counts = np.random.default_rng(0).poisson(5, (40, 10))

    def log_counts(X, y):
        assert X.dtype == np.int64
        assert (X >= 0).all()
        return np.log1p(X)

    y = np.arange(40) % 2
    assert audit([("log", log_counts), ("c", GaussianNB())], (counts, y), groups=None, cv=2).clean


def test_a_step_that_refuses_twice_the_values_gets_those_of_other_rows(data):
    limit = data[0].max()

    def bounded_scale(X, y):
        if X.max() > limit:
            raise ValueError("too large")
        return X - X.mean(axis=0)

    assert found(audit([("s", bounded_scale), ("c", GaussianNB())], data)) == [("s", VALUES)]


def test_data_are_not_changed_by_a_function_that_works_in_place(data):
    X, before = data[0].copy(), data[0].copy()

    def in_place(X, y):
        X -= X.mean(axis=0)
        return X

    audit([("scale", in_place), ("clf", GaussianNB())], (X, data[1]))
    np.testing.assert_array_equal(X, before)


def test_a_function_that_works_in_place_gets_fresh_data_each_time(data):
    def in_place(X, y):
        X += 1
        return X

    report = audit([("shift", in_place), ("clf", GaussianNB())], data)
    assert report.clean
    assert report.notes == []


def test_the_same_seed_gives_the_same_report(data):
    steps = [("genes", SelectKBest(k=10).fit_transform), ("clf", GaussianNB())]
    reports = [str(audit(steps, data, n_permutations=2, random_state=3)) for _ in range(2)]
    assert reports[0] == reports[1]


def test_the_default_folds_are_those_of_cross_val_score(data):
    seen = []

    class Recording(GaussianNB):
        def fit(self, X, y):
            seen.append(X.tobytes())
            return super().fit(X, y)

    audit(Recording(), data, cv=None, groups=None)
    first = seen.copy()
    cross_val_score(Recording(), *data)
    assert first[0] == seen[len(first)]


def test_chance_raises_few_false_alarms():
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)
        report = audit(GaussianNB(), (X, y), groups=None, cv=4, n_permutations=2, random_state=seed)
        alarms += not report.clean
    assert alarms <= 1


# The report


def test_the_report_prints_step_numbers_and_cure(data):
    text = str(audit([("scale", scale_all), ("clf", GaussianNB())], data))
    assert "1 leak" in text
    assert "scale  values of the test rows" in text
    assert "rows changed: 64; of: 64" in text
    assert "Cure: Fit it on the training rows" in text


def test_the_frame_has_a_row_per_finding(data):
    frame = audit([("scale", scale_all), ("clf", GaussianNB())], data).to_frame()
    assert frame["step"].tolist() == ["scale"]
    assert list(frame) == ["step", "what", "evidence", "cure"]


# Errors


def test_a_step_that_raises_is_named(data):
    def broken(X, y):
        raise KeyError("batch")

    with pytest.raises(ValueError, match="Step 'broken' raised KeyError on the data as they are"):
        audit([("broken", broken), ("clf", GaussianNB())], data)


def test_a_step_that_raises_on_perturbed_rows_is_named(data):
    X = data[0]

    def only_known(new, y):
        if not np.array_equal(new, X):
            raise RuntimeError("unknown profile")
        return new

    with pytest.raises(ValueError, match="'known' raised RuntimeError on test rows that hold"):
        audit([("known", only_known), ("clf", GaussianNB())], data)


def test_a_callable_of_one_argument_is_told_how_it_is_called(data):
    with pytest.raises(ValueError, match=r"called as f\(X, y\)"):
        audit([("log", lambda X: X), ("clf", GaussianNB())], data)


@pytest.mark.parametrize("X", [None, np.zeros(N)])
def test_what_is_no_matrix_is_refused(X):
    with pytest.raises(ValueError, match="X must have two dimensions"):
        audit_leakage(GaussianNB(), X, np.zeros(N))


def test_a_callable_after_an_estimator_is_refused(data):
    with pytest.raises(ValueError, match="comes after 'pca', an estimator"):
        audit([("pca", PCA(5)), ("scale", scale_all), ("clf", GaussianNB())], data)


def test_a_callable_that_drops_rows_is_refused(data):
    with pytest.raises(ValueError, match="returned 79 rows for 80"):
        audit([("drop", lambda X, y: X[1:]), ("clf", GaussianNB())], data)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "no step"),
        ([GaussianNB()], "pairs"),
        (GaussianNB, "pass an instance"),
        ([("a", 3)], "neither an estimator nor a callable"),
        ([("a", GaussianNB()), ("b", GaussianNB())], "has no transform"),
        ([("a", PCA(2)), ("a", GaussianNB())], "unique"),
    ],
)
def test_what_is_no_procedure_is_refused(data, steps, said):
    with pytest.raises((ValueError, TypeError), match=said):
        audit(steps, data)


def test_missing_groups_are_refused(data):
    groups = np.array([None, *PATIENTS[1:]], dtype=object)
    with pytest.raises(ValueError, match="groups is missing for 1 of 80 samples"):
        audit(GaussianNB(), data, groups=groups, cv=5)


def test_groups_of_another_length_are_refused(data):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        audit(GaussianNB(), data, groups=PATIENTS[1:])


@pytest.mark.parametrize("cv", [GroupKFold(4), ShuffleSplit(2, random_state=0), LeaveOneOut()])
def test_any_splitter_of_scikit_learn_will_do(data, cv):
    groups = PATIENTS if isinstance(cv, GroupKFold) else None
    assert audit(GaussianNB(), data, cv=cv, groups=groups).clean
