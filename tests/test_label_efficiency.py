"""Sweeps: who sees which samples, on what labels, and that nothing else changes a score."""

import re
import warnings
from itertools import pairwise

import anndata as ad
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

import sslgex.base
from sslgex import ScarfTransformer, SSLClassifier
from sslgex.evaluation import LabelEfficiencyResults, label_efficiency_curve

N, GENES, CLASSES = 90, 8, 3
POOL = 1000 + np.arange(25)  # ids of the unlabelled samples
SIZES = [6, 12]
SMALL = {"hidden_layer_sizes": (8,), "projection_sizes": (8,), "max_epochs": 2, "batch_size": 32}


def profiles(ids, seed):
    """Random profiles whose first gene tells which sample it is."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(ids), GENES))
    X[:, 0] = ids
    return X


# A frequent, a less frequent and a rare class, that some genes tell apart.
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [45, 30, 15]))
X = profiles(np.arange(N), 1)
X[:, 1:4] += 2 * np.eye(CLASSES)[Y]
MORE = profiles(POOL, 2)

# What the spies have seen: tuples (who, what, ids of the samples, more).
LOG: list[tuple] = []


@pytest.fixture(autouse=True)
def log():
    LOG.clear()
    yield LOG
    LOG.clear()


def ids_of(samples) -> list[int]:
    if isinstance(samples, list | tuple):
        return [i for part in samples for i in ids_of(part)]
    samples = samples.toarray() if sp.issparse(samples) else np.asarray(samples)
    return np.rint(samples[:, 0]).astype(int).tolist()


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier that writes down what it is shown."""

    def __init__(self, name="spy", *, random_state=None):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y):
        return self._learn(X, y, None)

    def _learn(self, X, y, pool):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.prior_ = counts / len(y)
        more = {"y": list(y), "pool": pool, "seed": self.random_state, "X": X}
        LOG.append((self.name, "fit", ids_of(X), more))
        return self

    def predict_proba(self, X):
        LOG.append((self.name, "predict", ids_of(X), {"X": X}))
        return np.tile(self.prior_, (len(ids_of(X)), 1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class PoolSpy(Spy):
    """The same, of unlabelled samples too."""

    def fit(self, X, y, X_unlabeled=None):
        return self._learn(X, y, None if X_unlabeled is None else ids_of(X_unlabeled))


class SpyEncoder(TransformerMixin, BaseEstimator):
    """An encoder that writes down what it is shown, and changes nothing."""

    def __init__(self, name="encoder", *, random_state=None):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y=None):
        LOG.append((self.name, "fit", ids_of(X), {"y": y, "seed": self.random_state}))
        self.n_seen_ = len(ids_of(X))
        return self

    def transform(self, X):
        check_is_fitted(self)
        return np.asarray(X).copy()


def frozen(head=None, encoder=None, **params):
    head = GaussianNB() if head is None else head
    encoder = SpyEncoder() if encoder is None else encoder
    return SSLClassifier(encoder, mode="frozen", head=head, **params)


def scaled(classifier):
    return make_pipeline(StandardScaler(), classifier)


def curve(estimators, X=X, y=Y, **params):
    params = {"label_sizes": SIZES, "n_draws": 2, "cv": 3, "random_state": 0, **params}
    return label_efficiency_curve(estimators, X, y, **params)


def seen(name, what="fit"):
    return [(ids, more) for who, did, ids, more in LOG if who == name and did == what]


def cells(results):
    """Return (split, size, draw) of all fits of an entry, in the order of a sequential sweep."""
    return [
        (s, k, draw)
        for s in range(len(results.splits))
        for k in range(len(results.label_sizes))
        for draw in range(results.n_draws)
    ]


def assert_same_predictions(one, other, names=None):
    for name in names or one.entries:
        for a, b in zip(one.outcomes[name], other.outcomes[name], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def raises(*pieces, error=ValueError):
    """Expect ``error`` whose message holds these pieces in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, pieces)))


# -------------------------------------------------------------- who sees which samples


def test_no_fit_sees_a_test_sample():
    entries = {
        "alone": Spy("alone"),
        "pooled": PoolSpy("pooled"),
        "frozen": frozen(Spy("head")),
        "pooled head": frozen(PoolSpy("pooled head")),
    }
    results = curve(entries, X_unlabeled=MORE)
    for name in ("alone", "pooled", "head", "pooled head"):
        fits, tests = seen(name), seen(name, "predict")
        where = cells(results)
        # Both predict and predict_proba ask for probabilities.
        assert len(fits) == len(where)
        assert len(tests) == 2 * len(where)
        for (s, _, _), (ids, more), (tested, _) in zip(where, fits, tests[::2], strict=True):
            assert tested == results.splits[s][1].tolist()
            assert not set(tested) & set(ids)
            assert not set(tested) & set(more["pool"] or [])
    for (train, test), (ids, _) in zip(results.splits, seen("encoder"), strict=True):
        assert not set(test) & set(ids)
        assert set(ids) >= set(train)


def test_an_encoder_sees_the_training_samples_and_the_unlabelled_ones_without_labels():
    results = curve({"frozen": frozen(Spy())}, X_unlabeled=[MORE[:10], MORE[10:]])
    for (train, _), (ids, more) in zip(results.splits, seen("encoder"), strict=True):
        assert sorted(ids) == sorted([*train, *POOL])
        assert more["y"] is None


def test_an_encoder_is_fitted_once_per_split_and_serves_all_draws():
    entries = {"frozen": frozen(Spy("a")), "the same encoder": frozen(PoolSpy("b"))}
    curve(entries, n_draws=4)
    assert len(seen("encoder")) == 3
    assert len(seen("a")) == 3 * 2 * 4


def test_encoders_with_other_parameters_are_not_shared():
    entries = {"one": frozen(encoder=PCA(2)), "other": frozen(encoder=PCA(3))}
    results = curve(entries)
    alone = curve({"other": entries["other"]})
    assert_same_predictions(alone, results)
    assert (results.outcomes["one"][0].p_true != results.outcomes["other"][0].p_true).any()


def test_our_pretrainers_see_the_same_samples(monkeypatch):
    rows_seen = []
    original = sslgex.base.BaseSSLTransformer._pretrain

    def recorded(self, encoder, rows, *args, **kwargs):
        rows_seen.append(len(rows))
        return original(self, encoder, rows, *args, **kwargs)

    monkeypatch.setattr(sslgex.base.BaseSSLTransformer, "_pretrain", recorded)
    entries = {
        "frozen": frozen(encoder=ScarfTransformer(**SMALL)),
        "unfrozen": SSLClassifier(ScarfTransformer(**SMALL), max_epochs=1),
    }
    results = curve(entries, X_unlabeled=MORE, label_sizes=[9], n_draws=1)
    assert rows_seen == [len(train) + len(MORE) for train, _ in results.splits]
    assert all(len(losses) == 2 for losses in results.loss_curves["frozen"])
    assert results.loss_curves["unfrozen"] == results.loss_curves["frozen"]


@pytest.mark.parametrize("entry", [PoolSpy(), frozen(PoolSpy())], ids=["alone", "as head"])
def test_a_classifier_that_takes_a_pool_gets_it_without_the_labelled_samples(entry):
    results = curve({"pooled": entry}, X_unlabeled=MORE)
    for (s, k, draw), (ids, more) in zip(cells(results), seen("spy"), strict=True):
        labelled, train = results.subsets[s][k][draw], results.splits[s][0]
        assert ids == labelled.tolist()
        assert sorted(more["pool"]) == sorted([*set(train) - set(labelled), *POOL])


@pytest.mark.parametrize("entry", [PoolSpy(), frozen(PoolSpy())], ids=["alone", "as head"])
def test_where_all_samples_are_labelled_the_pool_is_what_was_given(entry):
    curve({"pooled": entry}, label_sizes=[1.0], n_draws=1, X_unlabeled=MORE)
    assert [more["pool"] for _, more in seen("spy")] == [POOL.tolist()] * 3
    LOG.clear()
    curve({"pooled": entry}, label_sizes=[1.0], n_draws=1)
    assert [more["pool"] for _, more in seen("spy")] == [[]] * 3


def test_a_random_encoder_may_have_a_head_that_takes_a_pool():
    # Nothing is pretrained, but the head learns from the embedding of the unlabelled samples.
    entry = SSLClassifier(None, mode="frozen", head=PoolSpy(), hidden_layer_sizes=(8,))
    results = curve({"random": entry}, error_score="raise", n_draws=1)
    pools = [len(more["pool"]) for _, more in seen("spy")]
    assert pools == [len(results.splits[s][0]) - SIZES[k] for s, k, _ in cells(results)]


def test_the_entries_given_stay_as_they_are():
    entries = {"alone": scaled(LogisticRegression()), "frozen": frozen(Spy())}
    before = {name: str(entry.get_params()) for name, entry in entries.items()}
    curve(entries)
    assert {name: str(entry.get_params()) for name, entry in entries.items()} == before
    for part in (entries["alone"], entries["frozen"], entries["frozen"].encoder):
        with pytest.raises(NotFittedError):
            check_is_fitted(part)


# ---------------------------------------------------------------------- fitted encoders


def test_a_fitted_encoder_is_used_as_it_is_and_warned_of():
    encoder = SpyEncoder().fit(MORE)
    LOG.clear()
    with pytest.warns(UserWarning, match="'given' has a fitted encoder, used as it is"):
        results = curve({"given": frozen(Spy(), encoder)})
    assert not seen("encoder")
    assert not results.pretrain_seconds["given"].any()


def test_an_encoder_inside_another_entry_is_warned_of_since_it_sees_few_samples():
    entry = make_pipeline(StandardScaler(), frozen(Spy()))
    with pytest.warns(UserWarning, match=r"inside a Pipeline.*labelled samples alone") as caught:
        results = curve({"inner": entry}, n_draws=1)
    assert caught[0].filename == __file__
    assert len(seen("encoder")) == len(cells(results))


def test_a_fitted_encoder_inside_another_entry_is_used_as_it_is_and_warned_of():
    # It has no seed, and a fitted encoder is given none.
    entry = make_pipeline(FunctionTransformer(), frozen(Spy(), SpyEncoder().fit(MORE)))
    LOG.clear()
    with pytest.warns(UserWarning, match="'inner' has a fitted encoder, used as it is"):
        results = curve({"inner": entry}, n_draws=1, error_score="raise")
    assert not seen("encoder")
    assert len(seen("spy")) == len(cells(results))


def test_a_frozen_estimator_says_that_its_encoder_has_seen_no_test_sample():
    encoder = FrozenEstimator(SpyEncoder().fit(MORE))
    LOG.clear()
    curve({"given": frozen(Spy(), encoder)})
    assert not seen("encoder")
    assert len(seen("spy")) == 3 * 2 * 2


def test_a_fitted_encoder_of_ours_is_fine_tuned_in_every_fit_from_where_it_was():
    scarf = ScarfTransformer(**SMALL, random_state=0).fit(MORE)
    how = {"head": "linear", "early_stopping": False, "max_epochs": 2, "random_state": 0}
    entry = SSLClassifier(FrozenEstimator(scarf), **how)
    before = scarf.transform(X)
    results = curve({"given": entry}, label_sizes=[12], n_draws=2)
    np.testing.assert_array_equal(scarf.transform(X), before)
    labelled, test = results.subsets[2][0][1], results.splits[2][1]
    again = clone(entry).fit(X[labelled], Y[labelled])
    assert not np.array_equal(again.transform(X), before)
    np.testing.assert_array_equal(
        again.predict(X[test]), results.outcomes["given"][2].predicted[0, 1]
    )


@pytest.mark.parametrize("mode", ["frozen", "unfrozen"])
def test_the_pooled_head_gets_the_pool_of_its_split(mode):
    scarf = ScarfTransformer(**SMALL, random_state=0).fit(MORE)
    how = {"early_stopping": False, "max_epochs": 2, "random_state": 0}
    entry = SSLClassifier(FrozenEstimator(scarf), mode=mode, **how)
    results = curve({"given": entry}, label_sizes=[12], n_draws=1, X_unlabeled=MORE)
    labelled, (train, test) = results.subsets[2][0][0], results.splits[2]
    pool = [X[np.setdiff1d(train, labelled)], MORE]
    again = clone(entry).fit(X[labelled], Y[labelled], X_unlabeled=pool)
    assert "propagated" in again.head_.weights_
    outcome = results.outcomes["given"][2]
    np.testing.assert_array_equal(again.predict(X[test]), outcome.predicted[0, 0])
    p = again.predict_proba(X[test]).max(axis=1)
    np.testing.assert_allclose(p, outcome.confidence[0, 0], rtol=1e-6)


@pytest.mark.parametrize("last", [Normalizer(), "passthrough"], ids=["stateless", "passthrough"])
def test_an_unfitted_pipeline_is_pretrained_whatever_its_last_step(last):
    encoder = make_pipeline(StandardScaler(), SpyEncoder(), last)
    results = curve({"pipeline": frozen(GaussianNB(), encoder)}, error_score="raise")
    assert len(seen("encoder")) == 3
    assert np.isfinite(results.scores("accuracy")["pipeline"]).all()


# ------------------------------------------------------------------------ the subsets


def test_all_entries_get_the_same_labelled_samples_with_their_labels():
    entries = {"a": Spy("a"), "b": PoolSpy("b"), "c": frozen(Spy("c"))}
    results = curve(entries, n_draws=3)
    for name in entries:
        for (s, k, draw), (ids, more) in zip(cells(results), seen(name), strict=True):
            assert ids == results.subsets[s][k][draw].tolist()
            assert more["y"] == Y[ids].tolist()


def test_subsets_are_of_the_training_samples_and_of_the_size_asked_for():
    results = curve({"spy": Spy()}, label_sizes=[3, 7, 60])
    assert results.n_labels.tolist() == [[3, 7, 60]] * 3
    for s, k, draw in cells(results):
        subset = results.subsets[s][k][draw]
        assert len(set(subset)) == len(subset) == results.n_labels[s, k]
        assert set(subset) <= set(results.splits[s][0])


def test_subsets_are_stratified_with_one_of_each_class_at_least():
    y = np.repeat([0, 1, 2], [200, 38, 2])
    results = curve(
        {"none": DummyClassifier()}, np.zeros((240, 2)), y, cv=2, label_sizes=[3, 24, 60]
    )
    for s, k, draw in cells(results):
        counts = np.bincount(y[results.subsets[s][k][draw]], minlength=3)
        n = results.n_labels[s, k]
        assert counts.min() >= 1
        # Of the rare class there is one in each training part.
        np.testing.assert_allclose(counts / n, [0.83, 0.16, 0.01], atol=1.6 / n if n > 3 else 0.5)


def test_subsets_are_drawn_anew_for_every_size_and_draw():
    results = curve({"none": DummyClassifier()}, n_draws=5, label_sizes=[10, 11])
    for split in results.subsets:
        drawn = [set(subset) for draws in split for subset in draws]
        assert len(set(map(frozenset, drawn))) == 10
        # The next size is no larger copy of the one before it.
        assert not any(small <= large for small in drawn[:5] for large in drawn[5:])
        # Over the draws every sample has its turn.
        assert len(set().union(*drawn)) > 40


def test_every_sample_of_a_class_is_as_likely_to_be_drawn():
    results = curve({"none": DummyClassifier()}, cv=2, label_sizes=[9], n_draws=400)
    for (train, _), split in zip(results.splits, results.subsets, strict=True):
        drawn = np.bincount(np.concatenate(split[0]), minlength=N)
        for c in range(CLASSES):
            counts = drawn[train[Y[train] == c]]
            expected = counts.mean()
            assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)


def test_the_papers_protocol_has_one_fixed_nested_subset_and_five_initialisations():
    results = curve(
        {"spy": Spy()}, protocol="dradjat2025", n_draws="auto", label_sizes=[5, 10, 30, 60]
    )
    assert results.n_draws == 5
    for split in results.subsets:
        for draws in split:
            assert all((subset == draws[0]).all() for subset in draws)
        nested = [set(draws[0]) for draws in split]
        assert all(small < large for small, large in pairwise(nested))
    for (s, k, _), (ids, _) in zip(cells(results), seen("spy"), strict=True):
        assert ids == results.subsets[s][k][0].tolist()
    seeds = [more["seed"] for _, more in seen("spy")]
    assert len(set(seeds)) == 3 * 4 * 5


def test_the_default_number_of_draws_is_twenty():
    assert curve({"none": DummyClassifier()}, n_draws="auto", label_sizes=[5]).n_draws == 20


def test_sizes_are_sorted_and_each_is_taken_once():
    results = curve({"none": DummyClassifier()}, label_sizes=[12, 6, 12])
    assert results.label_sizes.tolist() == [6, 12]
    one = curve({"none": DummyClassifier()}, label_sizes=9)
    assert one.label_sizes.tolist() == [9]


def test_proportions_are_of_each_splits_training_samples():
    cv = [(np.arange(40), np.arange(40, 60)), (np.arange(30, 90), np.arange(30))]
    results = curve({"none": DummyClassifier()}, label_sizes=[0.1, 0.25, 1.0], cv=cv)
    assert results.n_labels.tolist() == [[4, 10, 40], [6, 15, 60]]
    np.testing.assert_array_equal(results.label_sizes, [0.1, 0.25, 1.0])


# Fewer labels than classes are said, and do not stop a sweep.
@pytest.mark.filterwarnings("ignore:Labelled subsets lack a class:UserWarning")
def test_the_studys_grid_is_one_call():
    X, y = np.zeros((150, 1)), np.arange(150) % 3
    grid = np.arange(2, 101) / 100
    results = curve({"chance": DummyClassifier()}, X, y, label_sizes=grid, cv=3, n_draws=2)
    assert len(results.label_sizes) == 99
    assert results.n_labels[:, 0].tolist() == [2, 2, 2]
    assert results.n_labels[:, -1].tolist() == [100, 100, 100]
    assert results.to_frame().shape[0] == 99 * 3 * 2


# ------------------------------------------------------- seeds, and what must not change


def test_equal_calls_give_equal_results():
    entries = {"forest": RandomForestClassifier(3), "pca": frozen(encoder=PCA(2))}
    one, other = curve(entries), curve(entries)
    assert_same_predictions(one, other)
    assert one.content == other.content


def test_another_seed_gives_other_splits_subsets_and_fits():
    entries = {"forest": RandomForestClassifier(3)}
    one, other = curve(entries), curve(entries, random_state=1)
    assert any((a[1] != b[1]).any() for a, b in zip(one.splits, other.splits, strict=True))
    assert one.content != other.content


@pytest.mark.parametrize("seed", [None, np.random.RandomState(3), np.int64(3)])
def test_random_state_may_be_what_scikit_learn_allows(seed):
    results = curve({"forest": RandomForestClassifier(2)}, random_state=seed, label_sizes=[6])
    assert np.isfinite(results.scores("accuracy")["forest"]).all()


def test_generators_give_the_same_sweep_from_the_same_state():
    entries = {"forest": RandomForestClassifier(2)}
    one, other = (curve(entries, random_state=np.random.RandomState(3)) for _ in range(2))
    assert_same_predictions(one, other)


def test_an_entry_without_a_seed_gets_another_one_for_every_fit_and_the_encoder_one_per_split():
    results = curve({"spy": Spy(), "frozen": frozen(Spy("head"))})
    seeds = [more["seed"] for _, more in seen("spy")]
    assert len(set(seeds)) == len(cells(results))
    # Of the same split, size and draw all entries get the same.
    assert [more["seed"] for _, more in seen("head")] == seeds
    assert len({more["seed"] for _, more in seen("encoder")}) == 3


def test_a_seed_of_its_own_is_kept():
    curve({"spy": Spy(random_state=7), "frozen": frozen(Spy("head", random_state=8))})
    assert {more["seed"] for _, more in seen("spy")} == {7}
    assert {more["seed"] for _, more in seen("head")} == {8}


ENTRIES = {
    "genes": scaled(LogisticRegression()),
    "forest": RandomForestClassifier(3),
    "pca": frozen("linear", PCA(3)),
    "scratch": SSLClassifier(hidden_layer_sizes=(8,), max_epochs=2),
}


@pytest.fixture(scope="module")
def standard():
    return curve(ENTRIES, X_unlabeled=MORE)


def test_an_entry_more_or_less_leaves_the_others_as_they_are(standard):
    for name in ENTRIES:
        assert_same_predictions(curve({name: ENTRIES[name]}, X_unlabeled=MORE), standard)


def test_a_size_or_a_draw_more_leaves_the_others_as_they_are(standard):
    more = curve(ENTRIES, X_unlabeled=MORE, label_sizes=[3, *SIZES], n_draws=3)
    for name in ENTRIES:
        for few, many in zip(standard.outcomes[name], more.outcomes[name], strict=True):
            for a, b in zip(few, many, strict=True):
                np.testing.assert_array_equal(b[1:3, :2], a)


def test_entries_in_another_order_or_under_another_name_are_the_same(standard):
    renamed = {f"my {name}": entry for name, entry in reversed(ENTRIES.items())}
    results = curve(renamed, X_unlabeled=MORE)
    assert results.entries == list(renamed)
    for name in ENTRIES:
        for a, b in zip(standard.outcomes[name], results.outcomes[f"my {name}"], strict=True):
            np.testing.assert_array_equal(a.predicted, b.predicted)


def test_threads_give_what_one_job_gives():
    # Of classifiers that never warn: Python's warning filters are not safe in threads.
    entries = {
        "genes": scaled(LogisticRegression()),
        "forest": RandomForestClassifier(3),
        "pca": frozen(encoder=PCA(3)),
        "pooled": frozen(PoolSpy()),
    }
    with parallel_config("threading"):
        results = curve(entries, X_unlabeled=MORE, n_jobs=2)
    assert_same_predictions(curve(entries, X_unlabeled=MORE), results)


@pytest.mark.slow
def test_processes_give_what_one_job_gives(standard):
    # The workers get even this little data as memory maps, which cannot be written to.
    entries = ENTRIES | {"scarf": frozen(encoder=ScarfTransformer(**SMALL))}
    with parallel_config("loky", max_nbytes=100):
        results = curve(entries, X_unlabeled=MORE, n_jobs=2, error_score="raise")
    assert_same_predictions(results, standard, ENTRIES)
    assert np.isfinite(results.scores("neg_log_loss")["scarf"]).all()


# ---------------------------------------------------------------- what comes of the fits


def test_results_are_the_predictions_of_plain_fits():
    entry = KNeighborsClassifier(3)
    results = curve({"knn": entry})
    for s, k, draw in cells(results):
        labelled, test = results.subsets[s][k][draw], results.splits[s][1]
        model = clone(entry).fit(X[labelled], Y[labelled])
        p = model.predict_proba(X[test])
        outcome = [part[k, draw] for part in results.outcomes["knn"][s]]
        np.testing.assert_array_equal(outcome[0], model.predict(X[test]))
        np.testing.assert_allclose(outcome[1], p[np.arange(len(test)), Y[test]], rtol=1e-6)
        np.testing.assert_allclose(outcome[2], p.max(axis=1), rtol=1e-6)


def test_results_of_a_pretrained_entry_are_those_of_a_plain_fit():
    entry = frozen("linear", PCA(3, random_state=0), random_state=0)
    results = curve({"pca": entry}, X_unlabeled=MORE)
    for s, (train, test) in enumerate(results.splits):
        encoder = FrozenEstimator(PCA(3, random_state=0).fit(np.vstack([X[train], MORE])))
        labelled = results.subsets[s][1][0]
        model = clone(entry).set_params(encoder=encoder).fit(X[labelled], Y[labelled])
        np.testing.assert_array_equal(
            results.outcomes["pca"][s].predicted[1, 0], model.predict(X[test])
        )


def test_scores_are_scikit_learns_of_each_cell(standard):
    accuracy, f1, loss = (
        standard.scores(m)["genes"] for m in ("accuracy", "f1_macro", "neg_log_loss")
    )
    for s, k, draw in cells(standard):
        labelled, test = standard.subsets[s][k][draw], standard.splits[s][1]
        model = clone(ENTRIES["genes"]).fit(X[labelled], Y[labelled])
        predicted = model.predict(X[test])
        assert accuracy[s, k, draw] == accuracy_score(Y[test], predicted)
        np.testing.assert_allclose(f1[s, k, draw], f1_score(Y[test], predicted, average="macro"))
        np.testing.assert_allclose(
            loss[s, k, draw], -log_loss(Y[test], model.predict_proba(X[test])), rtol=1e-5
        )


def test_the_frame_has_a_row_per_fit(standard):
    frame = standard.to_frame()
    assert list(frame) == [
        *("entry", "split", "size", "n_labels", "draw", "accuracy", "balanced_accuracy"),
        *("f1_macro", "neg_log_loss", "neg_calibration_error"),
        *("pretrain_seconds", "fit_seconds"),
    ]
    assert len(frame) == len(ENTRIES) * 3 * 2 * 2
    for entry, split, k, draw in [("genes", 0, 0, 0), ("pca", 2, 1, 0), ("scratch", 1, 0, 1)]:
        row = frame.query(
            "entry == @entry and split == @split and size == @SIZES[@k] and draw == @draw"
        )
        assert len(row) == 1
        assert row["n_labels"].item() == SIZES[k]
        for metric in standard.scoring:
            assert row[metric].item() == standard.scores(metric)[entry][split, k, draw]
        assert row["fit_seconds"].item() == standard.fit_seconds[entry][split, k, draw]
        assert row["pretrain_seconds"].item() == standard.pretrain_seconds[entry][split]


def test_seconds_of_pretraining_and_fitting_are_kept(standard):
    for name in ENTRIES:
        assert standard.fit_seconds[name].shape == (3, 2, 2)
        assert (standard.fit_seconds[name] > 0).all()
        assert standard.pretrain_seconds[name].shape == (3,)
        assert (standard.pretrain_seconds[name] > 0).all() == (name == "pca")


def test_results_know_the_data_and_print_the_mean_scores(standard):
    assert standard.entries == list(ENTRIES)
    np.testing.assert_array_equal(standard.classes[standard.y], Y)
    assert standard.protocol == "resample"
    assert standard.groups is None
    text = repr(standard)
    mean = standard.scores("accuracy")["forest"].mean(axis=(0, 2))
    assert f"{mean[0]:9.3f}{mean[1]:9.3f}" in text
    assert "3 splits, 2 draws each, 90 test samples" in text


def test_the_best_entry_has_the_highest_mean(standard):
    means = {name: s.mean() for name, s in standard.scores("neg_log_loss").items()}
    order = sorted(means, key=means.get)
    assert standard.best(metric="neg_log_loss") == order[-1]
    assert standard.best(order[:2], metric="neg_log_loss") == order[1]
    accuracies = {name: s.mean() for name, s in standard.scores("accuracy").items()}
    assert accuracies[standard.best()] == max(accuracies.values())


def test_a_metric_that_does_not_exist_is_refused(standard):
    with raises("metric must be one of", "'accuracy'", "got 'auc'"):
        standard.scores("auc")


def test_without_predict_proba_two_metrics_are_missing():
    results = curve({"svm": scaled(LinearSVC()), "genes": scaled(LogisticRegression())})
    assert results.scoring == ("accuracy", "balanced_accuracy", "f1_macro")
    assert "neg_log_loss" not in results.to_frame()
    # They are there for the entry that has them.
    assert np.isnan(results.scores("neg_log_loss")["svm"]).all()
    assert np.isfinite(results.scores("neg_log_loss")["genes"]).all()
    assert np.isfinite(results.scores("accuracy")["svm"]).all()


@pytest.mark.parametrize("metric", ["neg_log_loss", "neg_calibration_error"])
def test_without_predict_proba_log_loss_is_refused_before_any_fit(metric):
    with raises(f"{metric} needs probabilities", "['svm'] have no predict_proba", "Leave"):
        curve({"spy": Spy(), "svm": scaled(LinearSVC())}, scoring=["accuracy", metric])
    assert not LOG


def test_scoring_is_what_was_asked_for():
    results = curve({"nb": GaussianNB()}, scoring=["f1_macro", "accuracy", "f1_macro"])
    assert results.scoring == ("f1_macro", "accuracy")
    assert list(results.to_frame())[5:7] == ["f1_macro", "accuracy"]
    assert curve({"nb": GaussianNB()}, scoring="neg_log_loss").scoring == ("neg_log_loss",)


def test_a_search_is_an_entry_too():
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=2)
    results = curve({"search": search}, label_sizes=[12], error_score="raise")
    assert np.isfinite(results.scores("neg_log_loss")["search"]).all()


# -------------------------------------------------------------------------- kinds of data


def adata():
    return ad.AnnData(X, var=pd.DataFrame(index=[f"g{j}" for j in range(GENES)]))


# Whole numbers, which every type holds.
WHOLE = np.rint(4 * X)
KINDS = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int": lambda X: X.astype(int),
    "CSR": sp.csr_matrix,
    "CSC": sp.csc_matrix,
    "CSR array": sp.csr_array,
    "Fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "pandas": pd.DataFrame,
    "polars": lambda X: pl.DataFrame(X, schema=[f"g{j}" for j in range(X.shape[1])]),
    "AnnData": ad.AnnData,
    "sparse AnnData": lambda X: ad.AnnData(sp.csr_matrix(X)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_of_matrix_makes_no_difference(kind):
    make = KINDS[kind]
    pool = np.rint(4 * MORE) - 4000  # float16 holds whole numbers up to 2048
    entries = {
        "genes": KNeighborsClassifier(3, algorithm="brute"),
        "frozen": frozen(KNeighborsClassifier(3), encoder=PCA(3, random_state=0)),
    }
    plain = curve(entries, WHOLE, X_unlabeled=pool)
    given = make(WHOLE)
    if kind == "pandas":
        given.columns = given.columns.astype(str)
        pool = pd.DataFrame(pool, columns=given.columns)
    elif kind == "polars":
        pool = make(pool)
    elif "AnnData" in kind:
        pool = ad.AnnData(pool)
    results = curve(entries, given, X_unlabeled=pool, error_score="raise")
    for name in entries:
        for a, b in zip(plain.outcomes[name], results.outcomes[name], strict=True):
            np.testing.assert_array_equal(a.predicted, b.predicted)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame(X, columns=[f"g{j}" for j in range(GENES)]),
        lambda: pl.DataFrame(X, schema=[f"g{j}" for j in range(GENES)]),
        adata,
    ],
    ids=["pandas", "polars", "AnnData"],
)
def test_gene_names_reach_the_entries(make):
    curve({"spy": Spy(), "pooled": PoolSpy("pooled")}, make(), label_sizes=[6])
    for name in ("spy", "pooled"):
        for what in ("fit", "predict"):
            for _, more in seen(name, what):
                assert list(more["X"].columns) == [f"g{j}" for j in range(GENES)]


def test_gene_names_reach_our_pretrainers_without_a_word():
    frame = pd.DataFrame(X, columns=[f"g{j}" for j in range(GENES)])
    entries = {
        "scarf": frozen(PoolSpy("spy"), ScarfTransformer(**SMALL)),
        "pca": frozen("linear", PCA(2)),
    }
    pool = pd.DataFrame(MORE, columns=frame.columns)
    results = curve(entries, frame, X_unlabeled=pool, error_score="raise", label_sizes=[6])
    plain = curve(entries, X_unlabeled=MORE, label_sizes=[6])
    assert_same_predictions(results, plain)


def test_unlabelled_samples_of_other_genes_are_refused():
    frame = pd.DataFrame(X, columns=[f"g{j}" for j in range(GENES)])
    with raises("feature names", "matrix 0 of X_unlabeled"):
        curve({"spy": Spy()}, frame, X_unlabeled=frame.iloc[:, ::-1] + 1)
    assert not LOG


def test_sparse_and_dense_unlabelled_samples_go_together():
    entries = {"pca": frozen(encoder=PCA(2, random_state=0))}
    mixed = curve(entries, X_unlabeled=[MORE[:10], sp.csr_matrix(MORE[10:])], error_score="raise")
    dense = curve(entries, X_unlabeled=MORE)
    for a, b in zip(mixed.outcomes["pca"], dense.outcomes["pca"], strict=True):
        np.testing.assert_allclose(a.p_true, b.p_true, rtol=1e-3)


def in_categories(y):
    return pd.Series(y, dtype="category")


@pytest.mark.parametrize(
    ("labels", "make"),
    [
        (["lung", "liver", "skin"], np.array),
        (["lung", "liver", "skin"], lambda y: np.array(y, dtype=object)),
        (["lung", "liver", "skin"], pd.Series),
        (["lung", "liver", "skin"], in_categories),
        (["lung", "liver", "skin"], pd.Categorical),
        (["lung", "liver", "skin"], pl.Series),
        ([30, 10, 20], list),
        ([True, False, True], np.array),
        ([2.0, 1.0, 3.0], np.array),
    ],
    ids=[
        "str",
        "object",
        "pandas",
        "categories",
        "categorical",
        "polars",
        "int list",
        "bool",
        "float",
    ],
)
def test_labels_of_every_kind(labels, make):
    given = make([labels[c] for c in Y])
    results = curve({"nb": GaussianNB(), "frozen": frozen(encoder=PCA(3))}, y=given)
    codes = np.searchsorted(np.unique(labels), np.array(labels)[Y])
    np.testing.assert_array_equal(results.y, codes)
    np.testing.assert_array_equal(results.classes, np.unique(labels))
    assert results.scores("accuracy")["nb"].mean() > 0.5


def test_one_class_name_more_in_alphabet_changes_no_score():
    # The codes differ, the classifications do not.
    one = curve({"nb": GaussianNB()}, y=np.array(["a", "b", "c"])[Y], cv=StratifiedKFold(3))
    assert one.classes.tolist() == ["a", "b", "c"]
    other = curve({"nb": GaussianNB()}, cv=StratifiedKFold(3))
    assert_same_predictions(one, other)


# ------------------------------------------------------------------- splits and groups


GROUPS = np.random.default_rng(5).permutation(np.arange(N) // 3)


@pytest.mark.parametrize("groups", [GROUPS, np.array([f"p{g}" for g in GROUPS]), GROUPS.tolist()])
def test_a_number_of_folds_keeps_groups_together(groups):
    results = curve({"spy": Spy()}, groups=groups)
    for train, test in results.splits:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    assert sorted(np.concatenate([test for _, test in results.splits])) == list(range(N))
    assert len(np.unique(results.groups)) == len(np.unique(GROUPS))
    for g in np.unique(GROUPS):
        assert len(np.unique(results.groups[g == GROUPS])) == 1


def test_a_splitter_gets_the_groups():
    results = curve({"spy": Spy()}, groups=GROUPS, cv=GroupKFold(3))
    for train, test in results.splits:
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_a_splitter_that_divides_groups_is_refused():
    with raises("Split 0 of cv divides", "groups between training and test", "cv=5"):
        curve({"spy": Spy()}, groups=GROUPS, cv=StratifiedKFold(3).split(X, Y))
    assert not LOG


def test_a_number_of_folds_is_stratified_and_shuffled():
    y = np.repeat([0, 1, 2], 30)
    results = curve({"spy": Spy()}, y=y)
    for train, test in results.splits:
        assert np.bincount(y[test]).tolist() == [10, 10, 10]
        assert sorted([*train, *test]) == list(range(N))
    assert results.splits[0][1].tolist() != [*range(10), *range(30, 40), *range(60, 70)]


def test_one_group_that_holds_a_whole_class_is_refused():
    groups = np.where(Y == 2, "study 7", np.arange(N).astype(str))
    with raises("All 15 samples of class '2' are in group 'study 7'", "Leave it out"):
        curve({"spy": Spy()}, groups=groups)
    assert not LOG


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_samples_without_a_group_are_refused(missing):
    # They would be taken for one group.
    groups = GROUPS.astype(object)
    groups[[4, 9]] = missing
    with raises("groups is missing for 2 of 90 samples", "group of its own"):
        curve({"spy": Spy()}, groups=groups)


def test_groups_of_another_length_are_refused():
    with raises("groups has shape (89,)", "90 samples"):
        curve({"spy": Spy()}, groups=GROUPS[:-1])


@pytest.mark.parametrize(
    ("cv", "n"),
    [
        (StratifiedKFold(4, shuffle=True, random_state=1), 4),
        (RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0), 4),
        (ShuffleSplit(1, test_size=0.3, random_state=0), 1),
    ],
    ids=["KFold", "repeated", "one split"],
)
def test_splitters(cv, n):
    results = curve({"spy": Spy()}, cv=cv)
    expected = list(cv.split(X, Y))
    assert len(results.splits) == n
    for (train, test), (a, b) in zip(results.splits, expected, strict=True):
        assert set(train) == set(a)
        assert set(test) == set(b)


def test_splits_may_be_lists_generators_masks_or_counted_from_the_end():
    parts = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]
    expected = curve({"nb": GaussianNB()}, cv=parts)
    masks = [tuple(np.isin(np.arange(N), part) for part in pair) for pair in parts]
    negative = [tuple(part - N for part in pair) for pair in parts]
    lists = [tuple(part.tolist()[::-1] for part in pair) for pair in parts]
    for cv in (iter(parts), masks, negative, lists):
        results = curve({"nb": GaussianNB()}, cv=cv)
        assert_same_predictions(results, expected)
        assert results.content == expected.content


@pytest.mark.parametrize("rows", [np.arange(85, 95), np.arange(-95, -85)], ids=["90", "-91"])
@pytest.mark.parametrize("part", [0, 1], ids=["training", "test"])
def test_rows_that_do_not_exist_are_refused(part, rows):
    # Taken modulo the number of samples they would be other samples.
    pair = [np.arange(30, 60)] * 2
    pair[part] = rows
    with raises(f"cv has row {90 if rows[0] > 0 else -95}, but X has 90 samples"):
        curve({"spy": Spy()}, cv=[pair], label_sizes=[6])
    assert not LOG


def test_samples_in_both_parts_of_a_split_are_refused():
    with raises("Split 0 of cv has 10 samples in both parts (first: row 50)"):
        curve({"spy": Spy()}, cv=[(np.arange(60), np.arange(50, 90))])


@pytest.mark.parametrize("part", [0, 1], ids=["training", "test"])
def test_samples_twice_in_one_part_are_refused(part):
    pair = [np.arange(60), np.arange(60, 90)]
    pair[part] = np.append(pair[part], pair[part][7])
    with raises("A split of cv has 1 samples more than once", f"(first: row {pair[part][7]})"):
        curve({"spy": Spy()}, cv=[pair])


def test_a_mask_of_another_length_is_refused():
    mask = np.arange(80) < 40
    with raises("A mask of cv has shape (80,); X has 90 samples"):
        curve({"spy": Spy()}, cv=[(mask, ~mask)])


@pytest.mark.parametrize("empty", [0, 1])
def test_empty_parts_of_a_split_are_refused(empty):
    parts = [np.arange(90), np.array([], dtype=int)]
    with raises("Split 0 of cv has", "training and", "test samples"):
        curve({"spy": Spy()}, cv=[(parts[1 - empty], parts[empty])])


def test_a_training_part_of_one_class_is_refused():
    one = np.flatnonzero(Y == 1)
    with raises("training part of split 0 of cv has one class only"):
        curve({"spy": Spy()}, cv=[(one, np.flatnonzero(Y == 0))])


def test_one_fold_is_refused():
    with raises("cv=1 folds: at least 2"):
        curve({"spy": Spy()}, cv=1)


# ---------------------------------------------------------------------------- bad input


def test_entries_may_be_a_list_of_pairs():
    pairs = [("b", GaussianNB()), ("a", scaled(LogisticRegression()))]
    results = curve(pairs)
    assert results.entries == ["b", "a"]
    assert_same_predictions(results, curve(dict(pairs)))


@pytest.mark.parametrize(
    ("estimators", "pieces", "error"),
    [
        ({}, ["estimators is empty"], ValueError),
        ([("a", Spy()), ("a", Spy())], ["Names must be unique", "['a', 'a']"], ValueError),
        ([Spy(), Spy()], ["estimators must be an estimator, a dict", "pairs"], TypeError),
        ({"a": Spy}, ["'a' is the class Spy; pass an instance"], TypeError),
        ({"a": PCA()}, ["'a' is PCA()", "no scikit-learn classifier"], TypeError),
        (
            {"a": ScarfTransformer()},
            ["'a' is ScarfTransformer", "SSLClassifier(ScarfTransformer(), mode='frozen')"],
            TypeError,
        ),
        ({"a": "logistic"}, ["'a' is 'logistic'", "no scikit-learn estimator"], TypeError),
    ],
)
def test_what_is_no_dict_of_classifiers_is_refused(estimators, pieces, error):
    with raises(*pieces, error=error):
        curve(estimators)


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([6, 61], ["asks for 61 labelled samples", "split 0 has 60", "Ask for at most that many"]),
        ([1, 6], ["at least 2, got 1"]),
        ([0, 6], ["at least 2, got 0"]),
        ([-6], ["at least 2, got -6"]),
        ([0.5, 1.5], ["neither counts (integers) nor proportions"]),
        ([20.0], ["neither counts (integers) nor proportions"]),
        ([0.0, 0.5], ["neither counts (integers) nor proportions"]),
        ([np.nan], ["neither counts"]),
        ([0.02], ["The proportion 0.02 of 60 training samples is 1 labelled samples", "2"]),
        ([], ["label_sizes must hold numbers, got []"]),
        (["6"], ["label_sizes must hold numbers, got ['6']"]),
        ([True, False], ["label_sizes must hold numbers"]),
    ],
)
def test_numbers_of_labels_that_cannot_be_are_refused(sizes, pieces):
    with raises(*pieces):
        curve({"spy": Spy()}, label_sizes=sizes)
    assert not LOG


@pytest.mark.parametrize(
    ("params", "pieces"),
    [
        ({"n_draws": 0}, ["n_draws must be a positive integer or 'auto', got 0"]),
        ({"n_draws": 2.5}, ["n_draws must be a positive integer", "2.5"]),
        ({"n_draws": True}, ["n_draws must be a positive integer", "True"]),
        ({"n_draws": "all"}, ["n_draws must be a positive integer", "'all'"]),
        ({"protocol": "paper"}, ["protocol must be one of", "'dradjat2025'", "got 'paper'"]),
        ({"scoring": "auc"}, ["scoring must be of", "'accuracy'", "got 'auc'"]),
        ({"scoring": []}, ["scoring is empty"]),
        ({"error_score": 0}, ["error_score must be 'raise' or nan, got 0"]),
        ({"error_score": "ignore"}, ["error_score must be 'raise' or nan, got 'ignore'"]),
    ],
)
def test_arguments_that_cannot_be_are_refused(params, pieces):
    with raises(*pieces):
        curve({"spy": Spy()}, **params)
    assert not LOG


def test_labels_that_cannot_be_are_refused():
    missing = Y.astype(object)
    missing[:4] = None
    with raises("4 of 90 labels in y are missing", "X_unlabeled"):
        curve({"spy": Spy()}, y=missing)
    with raises("inconsistent numbers of samples", "[90, 89]"):
        curve({"spy": Spy()}, y=Y[:-1])
    with raises("greater than one; got 1 class"):
        curve({"spy": Spy()}, y=np.zeros(N, dtype=int))
    with raises("Unknown label type"):
        curve({"spy": Spy()}, y=X[:, 1])


def test_profiles_that_cannot_be_are_refused():
    broken = X.copy()
    broken[4, 7] = np.nan
    with raises("NaN", "LabelEfficiency", "row 4, column 7"):
        curve({"spy": Spy()}, broken)
    with raises("8 features", "matrix 1 of X_unlabeled"):
        curve({"spy": Spy()}, X_unlabeled=[MORE, MORE[:, :5]])


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_samples_that_are_labelled_and_unlabelled_are_refused(make):
    # Those of them that are tested would be pretrained on.
    twice = np.vstack([MORE[:3], X[[40, 7]]])
    with raises("2 samples of X are in X_unlabeled too", "row 7 of X is row 4 of matrix 1"):
        curve({"spy": Spy()}, X_unlabeled=[MORE[3:], make(twice)])
    assert not LOG


def test_samples_in_another_float_width_are_the_same_samples():
    with raises("2 samples of X are in X_unlabeled too"):
        curve({"spy": Spy()}, X_unlabeled=np.vstack([MORE, X[[40, 7]]]).astype(np.float32))
    with raises("2 samples of X are in X_unlabeled too"):
        curve({"spy": Spy()}, X.astype(np.float32), X_unlabeled=X[[40, 7]])


def test_a_sample_that_occurs_often_is_found_once():
    with raises("1 samples of X are in X_unlabeled too", "row 40 of X is row 0 of matrix 0"):
        curve({"spy": Spy()}, X_unlabeled=np.tile(X[[40]], (30, 1)))


def test_samples_that_are_hardly_different_are_no_reason_to_refuse():
    nearly = X[:20].copy()
    nearly[:, 5] += 1e-3
    curve({"spy": Spy()}, X_unlabeled=nearly, label_sizes=[6], n_draws=1)


def test_a_class_missing_in_a_draw_is_warned_of_and_gets_probability_zero():
    with pytest.warns(UserWarning, match=r"lack a class: with 2 labels .* 3 classes") as caught:
        results = curve({"nb": DummyClassifier()}, label_sizes=[2, 6], scoring="neg_log_loss")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    for s, k, draw in cells(results):
        test = results.splits[s][1]
        shown = np.isin(Y[test], Y[results.subsets[s][k][draw]])
        assert shown.all() == (k == 1)
        p_true = results.outcomes["nb"][s].p_true[k, draw]
        assert (p_true[~shown] == 0).all()
        assert (p_true[shown] > 0).all()


def test_a_class_that_a_training_part_lacks_is_warned_of():
    cv = [(np.flatnonzero(Y != 2), np.flatnonzero(Y == 2)), (np.arange(60), np.arange(60, 90))]
    with pytest.warns(UserWarning, match="lack a class: with 6 labels for example '2'"):
        results = curve({"nb": GaussianNB()}, cv=cv)
    assert (results.scores("accuracy")["nb"][0] == 0).all()


# --------------------------------------------------------------------------- failed fits


class FailsSometimes(GaussianNB):
    """Fails where it is shown a certain sample."""

    def __init__(self, sample=0):
        super().__init__()
        self.sample = sample

    def fit(self, X, y):
        if self.sample in ids_of(X):
            raise ArithmeticError(f"sample {self.sample} is beyond me\nand a second line")
        return super().fit(X, y)


class FailingEncoder(SpyEncoder):
    def fit(self, X, y=None):
        if 0 in ids_of(X):
            raise ArithmeticError("no encoder of sample 0")
        return super().fit(X)


def test_a_failing_fit_is_nan_and_a_warning_and_the_sweep_goes_on():
    entries = {"frail": FailsSometimes(), "sound": GaussianNB()}
    with pytest.warns(FitFailedWarning) as caught:
        results = curve(entries, n_draws=3)
    hit = [(s, k, d) for s, k, d in cells(results) if 0 in results.subsets[s][k][d]]
    assert 0 < len(hit) < len(cells(results))
    scores = results.scores("accuracy")
    assert [cell for cell in cells(results) if np.isnan(scores["frail"][cell])] == hit
    assert np.isnan(results.fit_seconds["frail"][hit[0]])
    assert np.isfinite(scores["sound"]).all()
    fine = [cell for cell in cells(results) if cell not in hit]
    assert all(scores["frail"][cell] == scores["sound"][cell] for cell in fine)
    s, k, draw = hit[0]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(caught[0].message).startswith(
        f"'frail' failed in {len(hit)} of 18 fits, which count as NaN; the first is split {s}, "
        f"size {SIZES[k]}, draw {draw}: ArithmeticError: sample 0 is beyond me"
    )
    assert "second line" not in str(caught[0].message)
    assert results.to_frame()["accuracy"].isna().sum() == len(hit)


def test_error_score_raise_raises_the_error_itself():
    with raises("sample 0 is beyond me", error=ArithmeticError):
        curve({"frail": FailsSometimes(), "sound": GaussianNB()}, n_draws=3, error_score="raise")


def test_a_failing_pretraining_fails_its_splits_fits_only():
    entries = {"frail": frozen(GaussianNB(), FailingEncoder()), "sound": GaussianNB()}
    with pytest.warns(FitFailedWarning, match="no encoder of sample 0") as caught:
        results = curve(entries)
    assert len(caught) == 1
    lost = [s for s, (train, _) in enumerate(results.splits) if 0 in train]
    assert len(lost) == 2
    nan = np.isnan(results.scores("accuracy")["frail"])
    assert np.flatnonzero(nan.all(axis=(1, 2))).tolist() == lost
    assert nan.sum() == 8
    assert np.isnan(results.pretrain_seconds["frail"][lost]).all()
    with raises("no encoder of sample 0", error=ArithmeticError):
        curve(entries, error_score="raise")


class Nonsense(GaussianNB):
    """Returns what is no probability, or no label."""

    def __init__(self, p=np.nan, label=None):
        super().__init__()
        self.p = p
        self.label = label

    def predict_proba(self, X):
        return np.full((len(X), CLASSES), self.p)

    def predict(self, X):
        return super().predict(X) if self.label is None else np.full(len(X), self.label)


@pytest.mark.parametrize("p", [np.nan, np.inf, 1.0, -1 / 3, 0.3])
def test_probabilities_that_are_none_are_a_failure(p):
    with pytest.warns(
        FitFailedWarning, match="predict_proba returned rows that are no probabilities"
    ):
        results = curve({"nonsense": Nonsense(p), "sound": GaussianNB()})
    assert np.isnan(results.scores("accuracy")["nonsense"]).all()


@pytest.mark.parametrize("label", [-1, 3, 1.5])
def test_labels_that_nobody_gave_are_a_failure(label):
    with pytest.warns(FitFailedWarning, match=r"predict returned .* which is none of the labels"):
        results = curve({"nonsense": Nonsense(1 / 3, label), "sound": GaussianNB()})
    assert np.isnan(results.scores("accuracy")["nonsense"]).all()


def test_where_every_fit_fails_there_is_nothing_to_go_on_with():
    with (
        pytest.warns(FitFailedWarning, match="failed in 12 of 12 fits"),
        raises("All 24 fits failed", "no probabilities"),
    ):
        curve({"nonsense": Nonsense(), "more": Nonsense()})


def test_results_with_failures_are_printed_and_judged_by_the_fits_there_are():
    with pytest.warns(FitFailedWarning):
        results = curve({"frail": FailsSometimes(), "sound": GaussianNB()}, n_draws=3)
    means = {name: np.nanmean(s, axis=(0, 2)) for name, s in results.scores("accuracy").items()}
    line = next(line for line in repr(results).splitlines() if line.startswith("frail"))
    assert line.split()[1:] == [f"{mean:.3f}" for mean in means["frail"]]
    areas = {name: mean.mean() for name, mean in means.items()}  # two sizes count alike
    assert results.best() == max(areas, key=areas.get)


def test_a_size_without_any_fit_is_printed_as_nan():
    class_of_zero = FailsSometimes(sample=0)
    cv = [(np.arange(60), np.arange(60, 90))]
    with pytest.warns(FitFailedWarning):
        results = curve({"frail": class_of_zero}, label_sizes=[6, 60], cv=cv)
    line = next(line for line in repr(results).splitlines() if line.startswith("frail"))
    assert line.split()[2] == "nan"
    assert line.split()[1] != "nan"


def test_many_classes_of_few_samples_are_no_reason_to_warn():
    y = np.arange(N) % 30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = curve({"nb": DummyClassifier()}, y=y, label_sizes=[30, 40])
    assert isinstance(results, LabelEfficiencyResults)
