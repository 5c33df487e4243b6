"""The curve over pretraining sizes: who sees which profiles, and what comes of it."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.validation import check_is_fitted

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.evaluation import compare, label_efficiency_curve, mean_scores
from sslgex.evaluation._metrics import Outcome
from sslgex.evaluation._pretraining_size import PretrainingSizeResults, pretraining_size_curve
from sslgex.evaluation._variance import estimate, half_width
from sslgex.plotting._pretraining_size import PretrainingSizeDisplay

N, GENES, CLASSES = 60, 6, 3
POOL = 1000 + np.arange(20)  # ids of the unlabelled samples
SIZES = [5, 20, 40]  # of 40 training samples, and 20 more where they are given
SMALL = {"hidden_layer_sizes": (4,), "projection_sizes": (4,), "max_epochs": 1}


def profiles(ids, seed):
    """Random profiles whose first gene tells which sample it is."""
    X = np.random.default_rng(seed).normal(size=(len(ids), GENES))
    X[:, 0] = ids
    return X


Y = np.random.default_rng(0).permutation(np.repeat(np.arange(CLASSES), N // CLASSES))
X = profiles(np.arange(N), 1)
X[:, 1:4] += 2 * np.eye(CLASSES)[Y]
MORE = profiles(POOL, 2)

# What the spies have seen: tuples (who, ids of the samples, ids of those without labels).
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


class Spy(GaussianNB):
    """A classifier that writes down what it is shown."""

    def __init__(self, name="spy"):
        super().__init__()
        self.name = name

    def fit(self, X, y):
        LOG.append((self.name, ids_of(X), None))
        return super().fit(X, y)


class PoolSpy(Spy):
    """The same, of unlabelled samples too."""

    def fit(self, X, y, X_unlabeled=None):
        LOG.append((self.name, ids_of(X), ids_of(X_unlabeled)))
        return super(Spy, self).fit(X, y)


class SpyEncoder(TransformerMixin, BaseEstimator):
    """An encoder that writes down what it is shown, and refuses what it does not want."""

    def __init__(self, unwanted=None, *, random_state=None):
        self.unwanted = unwanted
        self.random_state = random_state

    def fit(self, X, y=None):
        LOG.append(("encoder", ids_of(X), self.random_state))
        if len(ids_of(X)) == self.unwanted:
            raise RuntimeError(f"{self.unwanted} profiles are not wanted")
        self.fitted_ = True
        return self

    def transform(self, X):
        check_is_fitted(self)
        return X.copy()


def frozen(head=None, encoder=None):
    head = Spy() if head is None else head
    return SSLClassifier(SpyEncoder() if encoder is None else encoder, mode="frozen", head=head)


def curve(estimators, X=X, y=Y, **params):
    params = {"label_size": 12, "pretrain_sizes": SIZES, "n_draws": 2, "cv": 3} | params
    return pretraining_size_curve(estimators, X, y, **{"random_state": 0, **params})


def seen(name):
    return [(ids, more) for who, ids, more in LOG if who == name]


def pretrained_on() -> dict:
    """Return the profiles of every split and size, in the order of a sequential sweep.

    Before the sweep the smallest size is tried once.
    """
    shown = [ids for ids, _ in seen("encoder")][1:]
    assert len(shown) == 3 * len(SIZES)
    return {(i // len(SIZES), i % len(SIZES)): ids for i, ids in enumerate(shown)}


def assert_same_predictions(one, other, names=None):
    for name in names or one.entries:
        for a, b in zip(one.outcomes[name], other.outcomes[name], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def raises(*pieces, error=ValueError):
    """Expect ``error`` whose message holds these pieces in this order."""
    return pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, pieces)))


# -------------------------------------------------------------- who sees which profiles


def test_every_size_is_pretrained_on_so_many_profiles_none_of_them_tested():
    results = curve({"frozen": frozen()}, X_unlabeled=[MORE[:5], MORE[5:]])
    for (s, k), ids in pretrained_on().items():
        train, test = results.splits[s]
        assert len(ids) == len(set(ids)) == SIZES[k] == results.n_pretrain[s, k]
        assert set(ids) <= {*train, *POOL}
        assert not set(ids) & set(test)


def test_sizes_are_nested_and_of_another_order_in_every_split():
    curve({"frozen": frozen()}, X_unlabeled=MORE)
    found = pretrained_on()
    for s in range(3):
        for k, after in pairwise(range(len(SIZES))):
            assert set(found[s, k]) < set(found[s, after])
    assert len({frozenset(found[s, 0]) for s in range(3)}) == 3


def test_training_and_unlabelled_samples_are_as_likely_to_be_taken():
    counts = np.zeros(2000)
    for seed in range(20):
        LOG.clear()
        curve({"frozen": frozen()}, X_unlabeled=MORE, random_state=seed, n_draws=1)
        for ids in [pretrained_on()[s, 1] for s in range(3)]:
            counts[ids] += 1
    of_more = counts[POOL].mean() / 60  # 20 of the 60 profiles, in 60 draws
    assert of_more == pytest.approx(1 / 3, abs=0.04)
    of_training = counts[:N].mean() / 40  # every sample is one of training in 2 of 3 splits
    assert of_training == pytest.approx(1 / 3, abs=0.03)


def test_an_encoder_is_pretrained_once_per_split_and_size_and_serves_all_draws():
    curve({"a": frozen(Spy("a")), "b": frozen(Spy("b"))}, n_draws=4, X_unlabeled=MORE)
    assert len(seen("encoder")) == 3 * len(SIZES) + 1
    assert len(seen("a")) == len(seen("b")) == 3 * len(SIZES) * 4


def test_encoders_of_a_split_have_one_seed():
    curve({"frozen": frozen()}, X_unlabeled=MORE)
    seeds = [seed for _, seed in seen("encoder")][1:]
    assert [len(set(seeds[3 * s : 3 * s + 3])) for s in range(3)] == [1, 1, 1]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("entry", [PoolSpy(), frozen(PoolSpy())], ids=["alone", "as head"])
def test_what_learns_without_labels_sees_the_same_share_without_those_that_have_labels(entry):
    results = curve({"spy": frozen(Spy("other")), "pooled": entry}, X_unlabeled=MORE)
    shares, fits = pretrained_on(), iter(seen("spy"))
    for s in range(3):
        for k in range(len(SIZES)):
            for labelled in results.subsets[s][k]:
                ids, pool = next(fits)
                assert ids == labelled.tolist()
                assert sorted(pool) == sorted(set(shares[s, k]) - set(labelled))
    assert "pooled" not in results.levels


def test_what_learns_from_labels_alone_is_fitted_once_and_level():
    untrained = SSLClassifier(mode="frozen", head=Spy("head"), hidden_layer_sizes=(4,))
    results = curve({"alone": Spy("alone"), "random": untrained, "frozen": frozen()}, n_draws=3)
    assert len(seen("alone")) == len(seen("head")) == 3 * 3
    assert results.levels == ["alone", "random"]
    for name in results.levels:
        scores = results.scores("accuracy")[name]
        assert (scores == scores[:, :1]).all()
        assert not results.pretrain_seconds[name].any()
    assert np.ptp(results.fit_seconds["alone"], axis=1).max() == 0


def test_labelled_subsets_are_the_same_at_all_sizes():
    results = curve({"spy": frozen()})
    fits = iter(seen("spy"))
    for split in results.subsets:
        for draws in split:
            for labelled, first in zip(draws, split[0], strict=True):
                np.testing.assert_array_equal(labelled, first)
                assert next(fits)[0] == labelled.tolist()


def test_a_size_may_have_no_training_sample_at_all():
    more = profiles(1000 + np.arange(500), 3)
    results = curve({"frozen": frozen(PoolSpy())}, X_unlabeled=more, pretrain_sizes=[2, 3, 540])
    shares = pretrained_on()
    assert any(min(ids) >= 1000 for (_, k), ids in shares.items() if k < 2)
    assert np.isfinite(results.scores("accuracy")["frozen"]).all()


def test_genes_keep_their_names():
    names = [f"g{i}" for i in range(GENES)]
    frame, more = pd.DataFrame(X, columns=names), pd.DataFrame(MORE, columns=names)
    entry = SSLClassifier(ScarfTransformer(**SMALL), mode="frozen", head=GaussianNB())
    named = curve({"SCARF": entry}, X=frame, X_unlabeled=more, n_draws=1)
    assert_same_predictions(named, curve({"SCARF": entry}, X_unlabeled=MORE, n_draws=1))


def test_sparse_profiles_give_the_same():
    entry = SSLClassifier(ScarfTransformer(**SMALL), mode="frozen", head=GaussianNB())
    dense = curve({"SCARF": entry}, X_unlabeled=MORE, n_draws=1)
    sparse = curve({"SCARF": entry}, X=sp.csr_matrix(X), X_unlabeled=sp.csr_matrix(MORE), n_draws=1)
    assert_same_predictions(dense, sparse)


# ---------------------------------------------------------------- what comes of it


def test_outcomes_are_those_of_fits_by_hand():
    results = curve({"spy": frozen(), "PCA": frozen(GaussianNB(), PCA(3))}, X_unlabeled=MORE)
    everything = np.zeros((2000, GENES))
    everything[np.r_[np.arange(N), POOL]] = np.concatenate([X, MORE])
    for (s, k), ids in pretrained_on().items():
        pca = PCA(3).fit(everything[ids])
        test = results.splits[s][1]
        for draw, labelled in enumerate(results.subsets[s][k]):
            head = GaussianNB().fit(pca.transform(X[labelled]), Y[labelled])
            p = head.predict_proba(pca.transform(X[test]))[np.arange(len(test)), Y[test]]
            found = results.outcomes["PCA"][s].p_true[k, draw]
            np.testing.assert_allclose(found, p, rtol=1e-3, atol=1e-6)


def test_all_profiles_give_what_the_label_efficiency_curve_gives():
    entries = {
        "SCARF": SSLClassifier(ScarfTransformer(**SMALL), mode="frozen"),
        "unfrozen": SSLClassifier(ScarfTransformer(**SMALL), head="sgd", max_epochs=1),
        "pool": PoolSpy(),
        "alone": GaussianNB(),
    }
    how = {"n_draws": 1, "cv": 2, "random_state": 3, "X_unlabeled": MORE}
    results = curve(entries, label_size=0.3, pretrain_sizes=[0.5, 1.0], **how)
    other = label_efficiency_curve(entries, X, Y, label_sizes=[0.3], **how)
    for name in entries:
        for mine, theirs in zip(results.outcomes[name], other.outcomes[name], strict=True):
            np.testing.assert_array_equal(mine.p_true[-1], theirs.p_true[0])
    assert (results.outcomes["SCARF"][0].p_true[0] != results.outcomes["SCARF"][0].p_true[1]).any()


def test_a_bare_pretrainer_is_a_classifier_with_it():
    scarf = ScarfTransformer(**SMALL, random_state=0)
    how = {"pretrain_sizes": [40], "n_draws": 1, "cv": [(np.arange(40), np.arange(40, N))]}
    results = curve({"bare": scarf, "inside": SSLClassifier(scarf)}, **how)
    for bare, inside in zip(results.outcomes["bare"], results.outcomes["inside"], strict=True):
        np.testing.assert_array_equal(bare.p_true, inside.p_true)


def test_more_profiles_help_where_few_do_not_show_the_signal():
    # Of few profiles the first component is noise, of many it is what sets the classes apart.
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    direction = np.ones(300) / np.sqrt(300)
    matrix = 2.5 * np.outer(2 * y - 1, direction) + rng.normal(size=(200, 300))
    entry = frozen(GaussianNB(), PCA(1))
    results = pretraining_size_curve(
        {"PCA": entry, "genes": GaussianNB()}, matrix, y, label_size=10, n_draws=5, cv=4,
        pretrain_sizes=[3, 10, 150], random_state=0,
    )  # fmt: skip
    means = mean_scores(results, metric="accuracy")["PCA"][:, 0]
    assert means[0] < 0.75
    assert means[-1] > 0.9
    compared = compare(results, "PCA", "genes", metric="accuracy", lo=150, hi=150)
    assert compared.verdict == "helps"
    assert compared.axis == "profiles"
    assert results.best() == "PCA"


def test_losses_are_there_for_every_size():
    entry = SSLClassifier(ScarfTransformer(**SMALL), mode="frozen", head=GaussianNB())
    results = curve({"SCARF": entry, "alone": GaussianNB()}, n_draws=1, pretrain_sizes=[10, 40])
    losses = results.loss_curves["SCARF"]
    assert [[len(curve) for curve in split] for split in losses] == [[1, 1]] * 3
    assert results.loss_curves["alone"] == [[[], []]] * 3
    assert results.pretrain_seconds["SCARF"].shape == (3,)


def test_positions_are_mean_numbers_of_profiles():
    y = np.repeat([0, 1], [31, 30])
    results = curve({"spy": frozen()}, X=profiles(np.arange(61), 1), y=y, pretrain_sizes=[0.5, 1.0])
    train = np.array([len(train) for train, _ in results.splits])
    assert len(set(train)) > 1
    np.testing.assert_array_equal(results.n_profiles, train)
    np.testing.assert_array_equal(results.n_pretrain[:, 1], train)
    np.testing.assert_array_equal(results.n_pretrain[:, 0], np.rint(train / 2))
    np.testing.assert_array_equal(results.positions, results.n_pretrain.mean(axis=0))
    assert results.whole == train.mean()
    assert results.sizes.tolist() == [0.5, 1.0]
    assert (results.n_labels == 12).all()


def test_by_default_sizes_are_the_studys():
    X = profiles(np.arange(300), 1)
    results = curve({"alone": GaussianNB()}, X=X, y=np.arange(300) % 3, pretrain_sizes=None)
    first, later = np.array([0.01, 0.02, 0.03, 0.04, 0.05]), np.arange(2, 21) / 20
    np.testing.assert_allclose(results.sizes, [*first, *later])
    assert results.n_pretrain[0].tolist()[:6] == [2, 4, 6, 8, 10, 20]


def test_the_table_has_a_row_per_entry_split_size_and_draw():
    results = curve({"alone": GaussianNB(), "spy": frozen()}, pretrain_sizes=[0.25, 0.5, 1.0])
    frame = results.to_frame()
    assert len(frame) == 2 * 3 * 3 * 2
    assert list(frame.columns[:6]) == ["entry", "split", "size", "n_pretrain", "n_labels", "draw"]
    for s in range(3):
        for k, size in enumerate(results.sizes):
            rows = frame[
                (frame["entry"] == "spy") & (frame["split"] == s) & (frame["size"] == size)
            ]
            assert rows["n_pretrain"].tolist() == [results.n_pretrain[s, k]] * 2
            scores = results.scores("accuracy")["spy"][s, k]
            np.testing.assert_array_equal(rows["accuracy"], scores)


def test_results_are_printed_with_their_sizes():
    text = repr(curve({"spy": frozen()}))
    assert text.startswith("Pretraining size: 3 splits, 2 draws each, 60 test samples")
    assert re.search(r"\naccuracy +5 +20 +40\nspy ", text)
    assert text.endswith("by profiles pretrained on, label_size=12")


def test_one_split_is_compared_without_a_verdict():
    results = curve(
        {"spy": frozen(), "alone": GaussianNB()}, cv=[(np.arange(40), np.arange(40, N))]
    )
    assert compare(results, "spy", "alone").verdict == "cannot tell"


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([1, 5], ["size 1 is 1 of the 40 profiles in split 0", "larger pretrain_sizes"]),
        ([0.01, 0.5], ["size 0.01 is 0 of the 40 profiles in split 0; at least 2"]),
        (None, ["size 0.01 is 0 of the 40 profiles"]),
        ([5, 41], ["asks for 41 profiles, but in split 0 there are 40", "1.0 is all"]),
        ([0.5, 1.5], ["has [1.5]", "floats in (0, 1]"]),
        ([0.0, 0.5], ["has [0.0]"]),
        ([5, 0.5], ["has [5.0]", "all integers"]),
        ([True], ["must hold numbers, got [True]"]),
        (["all"], ["must hold numbers"]),
        ([], ["must hold numbers"]),
    ],
)  # fmt: skip
def test_bad_sizes_are_refused_before_anything_is_fitted(sizes, pieces):
    with raises(*pieces):
        curve({"spy": frozen(), "alone": Spy()}, pretrain_sizes=sizes)
    assert LOG == []


@pytest.mark.parametrize("size", [[10], [10, 20], (5,)])
def test_several_numbers_of_labels_are_refused(size):
    with raises(f"label_size must be one number, got {size}", "Run one for each"):
        curve({"spy": frozen()}, label_size=size)


@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        (PCA(6), "n_components=6 must be"),
        (
            ScarfTransformer(**SMALL, early_stopping=True, validation_fraction=0.9),
            "validation_fraction=0.9 of 5 samples leaves 1",
        ),
    ],
    ids=["PCA", "held out"],
)
def test_sizes_too_small_for_an_encoder_are_refused_before_anything_is_fitted(encoder, why):
    with raises("size 5 is 5 profiles, which are too few for 'it'", why, "larger pretrain_sizes"):
        curve({"spy": Spy(), "it": frozen(encoder=encoder)})
    assert LOG == []


def test_fitted_encoders_are_refused():
    fitted = ScarfTransformer(**SMALL).fit(X)
    frozen_one = SSLClassifier(FrozenEstimator(fitted))
    for entry in (fitted, SSLClassifier(fitted), frozen_one, frozen(encoder=PCA(2).fit(X))):
        with raises("'given' has a fitted encoder, which cannot be pretrained on less", "clone("):
            curve({"given": entry})


def test_what_is_no_entry_is_refused():
    with raises("'it' is PCA", "no scikit-learn classifier", error=TypeError):
        curve({"it": PCA()})
    with raises("estimators must be an estimator, a dict", error=TypeError):
        curve(5)


# ------------------------------------------------- sweeps go on, and are the same again


def test_a_failing_pretraining_fails_its_size_only():
    with pytest.warns(FitFailedWarning, match="'it' failed in 6 of 18 fits.*size 20, draw 0"):
        results = curve({"it": frozen(encoder=SpyEncoder(20)), "alone": GaussianNB()})
    missing = np.isnan(results.scores("accuracy")["it"])
    assert missing[:, 1].all()
    assert not missing[:, [0, 2]].any()


def test_workers_give_the_same():
    entries = {"PCA": frozen(GaussianNB(), PCA(2)), "alone": GaussianNB()}
    one = curve(entries, X_unlabeled=MORE)
    with parallel_config(backend="threading"):
        two = curve(entries, X_unlabeled=MORE, n_jobs=2)
    assert_same_predictions(one, two)
    assert one.content == two.content


def test_the_same_seed_gives_the_same_and_another_other_profiles():
    entry = {"PCA": frozen(GaussianNB(), PCA(2))}
    cv = [(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    first, again, other = (curve(entry, cv=cv, random_state=seed) for seed in (0, 0, 1))
    assert_same_predictions(first, again)
    assert first.content == again.content != other.content


def test_finished_work_is_not_done_again(tmp_path):
    entries = {"a": frozen(Spy("a")), "alone": Spy("alone")}
    first = curve(entries, cache=tmp_path, pretrain_sizes=[5, 20])
    LOG.clear()
    assert_same_predictions(curve(entries, cache=tmp_path, pretrain_sizes=[5, 20]), first)
    assert [who for who, _, _ in LOG] == ["encoder"]  # the trial of the smallest size
    LOG.clear()
    curve(entries, cache=tmp_path, pretrain_sizes=[5, 20, 40])
    assert [who for who, _, _ in LOG] == ["encoder"] * 4 + ["a"] * 6


def test_entries_stay_as_they_are():
    scarf = ScarfTransformer(**SMALL)
    entries = {"SCARF": frozen(GaussianNB(), scarf), "PCA": frozen(GaussianNB(), PCA(2))}
    before = {name: str(clone(entry)) for name, entry in entries.items()}
    X_before, more = X.copy(), MORE.copy()
    curve(entries, X_unlabeled=more, pretrain_sizes=[30], n_draws=1)
    assert {name: str(entry) for name, entry in entries.items()} == before
    assert not hasattr(scarf, "encoder_")
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(more, MORE)


def test_groups_are_not_divided_and_profiles_are_taken_row_by_row():
    groups = np.arange(N) // 4
    results = curve({"spy": frozen()}, groups=groups, pretrain_sizes=[7, 20, 36])
    for train, test in results.splits:
        assert not set(groups[train]) & set(groups[test])
    assert all(len(ids) == [7, 20, 36][k] for (_, k), ids in pretrained_on().items())


def test_results_of_two_sweeps_are_joined():
    a, b = frozen(GaussianNB(), PCA(2)), GaussianNB()
    both = curve({"a": a, "b": b})
    joined = PretrainingSizeResults.join([curve({"a": a}), curve({"b": b})])
    assert_same_predictions(both, joined)
    assert joined.entries == ["a", "b"]
    assert joined.levels == both.levels == ["b"]
    assert repr(joined) == repr(both)


def test_results_of_other_sizes_are_not():
    one, other = (curve({"b": GaussianNB()}, pretrain_sizes=sizes) for sizes in ([5, 40], [5, 20]))
    with raises("pretraining on 5, 40 and on 5, 20 profiles", "the same pretrain_sizes"):
        PretrainingSizeResults.join([one, other])
    other = curve({"c": GaussianNB()}, random_state=1, pretrain_sizes=[5, 40])
    with raises("different sweeps"):
        PretrainingSizeResults.join([one, other])


# ------------------------------------------------------------------- the picture


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture
def drawn():
    return {"PCA": frozen(GaussianNB(), PCA(2)), "genes": GaussianNB()}


def test_curves_are_mean_scores_by_profiles_pretrained_on(drawn, plt):
    results = curve(drawn, X_unlabeled=MORE)
    display = PretrainingSizeDisplay.from_results(results, metric="f1_macro")
    scores = mean_scores(results, metric="f1_macro")
    for name, line, bars in zip(drawn, display.lines_, display.intervals_, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [5, 20, 40])
        np.testing.assert_array_equal(line.get_ydata(), scores[name][:, 0])
        assert bars.get_ydata()[0] == scores[name][0, 1]
    ax = display.ax_
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "profiles pretrained on"
    assert ax.get_ylabel() == "F1 score, mean over classes"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["5", "20", "40"]
    np.testing.assert_array_equal(display.n_pretrain, results.positions)


def test_levels_have_no_markers(drawn, plt):
    pretrained, level = PretrainingSizeDisplay.from_results(curve(drawn)).lines_
    assert pretrained.get_marker() == "o"
    assert level.get_marker() == ""
    assert np.ptp(level.get_ydata()) == 0


def test_pictures_are_joined_and_drawn_into_given_axes(drawn, plt):
    parts = [curve({name: entry}) for name, entry in drawn.items()]
    _, ax = plt.subplots()
    display = PretrainingSizeDisplay.from_results(parts, ax=ax)
    assert display.ax_ is ax
    assert display.entries == ["PCA", "genes"]
    assert [line.get_marker() for line in display.lines_] == ["o", ""]
    with raises("results must be what pretraining_size_curve returned", error=TypeError):
        PretrainingSizeDisplay.from_results("results")


def test_from_estimator_draws_the_sweep_that_it_runs(drawn, plt):
    how = {"label_size": 12, "pretrain_sizes": [0.5, 1.0], "n_draws": 2, "cv": 3}
    display = PretrainingSizeDisplay.from_estimator(drawn, X, Y, **how, random_state=0)
    assert_same_predictions(display.results, curve(drawn, pretrain_sizes=[0.5, 1.0]))
    assert display.lines_[0].get_xdata().tolist() == [20.0, 40.0]
    assert display.ax_.get_xscale() == "linear"


def with_luck_of_its_own(rng, n_sizes, luck, n_splits=5, n_draws=5, n=150):
    """Results of two equal entries, one of which has another encoder in every split and size."""
    rows = np.arange(n)
    splits = [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, n_splits)]
    y = rows % 2
    easy = np.where(rng.random(n) < 0.5, 0.95, 0.05)
    outcomes = {}
    for name, spread in (("a", luck), ("b", 0.0)):
        outcomes[name] = []
        for _, test in splits:
            lucky = rng.normal(0, spread, (n_sizes, 1, 1))
            right = rng.random((n_sizes, n_draws, len(test))) < easy[test]
            right = np.where(rng.random(right.shape) < abs(lucky), lucky > 0, right)
            predicted = np.where(right, y[test], 1 - y[test]).astype(np.int16)
            nothing = np.full(right.shape, np.nan, dtype=np.float32)
            outcomes[name].append(Outcome(predicted, nothing, nothing))
    sizes = np.arange(1, n_sizes + 1) / n_sizes
    return PretrainingSizeResults(
        entries=["a", "b"],
        n_labels=np.full((n_splits, n_sizes), 10),
        n_draws=n_draws,
        scoring=("accuracy",),
        protocol="resample",
        classes=np.arange(2),
        y=y,
        groups=None,
        splits=splits,
        subsets=[],
        outcomes=outcomes,
        pretrain_seconds={name: np.ones(n_splits) for name in outcomes},
        fit_seconds={},
        loss_curves={},
        content="by hand",
        pretrain_sizes=sizes,
        n_pretrain=np.tile((120 * sizes).round().astype(int), (n_splits, 1)),
        n_profiles=np.full(n_splits, 120),
        label_size=10,
        levels=[],
    )


def test_intervals_hold_where_every_size_has_an_encoder_of_its_own():
    # The luck of pretraining must not be averaged away over the sizes: the intervals were of 81 %.
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        found = with_luck_of_its_own(rng, n_sizes=20, luck=0.3)
        curves = estimate(found, ["a", "b"], "accuracy")
        last = np.outer([1.0, -1.0], np.eye(20)[-1])
        difference = float((curves.mean * last).sum())
        held.append(abs(difference) <= half_width(*curves.contrast(last), 0.95))
    assert np.mean(held) > 0.88
