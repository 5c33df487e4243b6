"""The cache of a sweep: what was done is kept, and nothing else is ever taken for it."""

import errno
import importlib
import importlib.metadata
import linecache
import os
import pickle
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sslgex import ScarfTransformer, SSLClassifier
from sslgex.evaluation import _identity, label_efficiency_curve

N, GENES = 60, 5
RNG = np.random.default_rng(0)
Y = np.arange(N) % 3
X = RNG.normal(size=(N, GENES)) + np.eye(3, GENES)[Y]
MORE = RNG.normal(size=(20, GENES))
SMALL = {"hidden_layer_sizes": (4,), "projection_sizes": (4,), "max_epochs": 1, "random_state": 0}

# What was fitted, and what goes wrong at which of the fits.
FITS: list[str] = []
TROUBLE: dict[int, BaseException] = {}


@pytest.fixture(autouse=True)
def no_trouble():
    FITS.clear()
    TROUBLE.clear()
    yield
    FITS.clear()
    TROUBLE.clear()


def note(name):
    FITS.append(name)
    if len(FITS) in TROUBLE:
        raise TROUBLE[len(FITS)]


class Counted(ClassifierMixin, BaseEstimator):
    """Random labels, by its seed, counted."""

    def __init__(self, name="clf", *, bias=0.0, random_state=None):
        self.name = name
        self.bias = bias
        self.random_state = random_state

    def fit(self, X, y):
        note(self.name)
        self.classes_ = np.unique(y)
        self.mean_ = np.asarray(X).mean()
        return self

    def predict_proba(self, X):
        rng = np.random.default_rng([self.random_state, len(X)])
        p = np.exp(rng.normal(size=(len(X), len(self.classes_))) + self.bias * self.mean_)
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class CountedEncoder(TransformerMixin, BaseEstimator):
    def __init__(self, name="encoder", *, scale=1.0, random_state=None):
        self.name = name
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        note(self.name)
        self.mean_ = np.asarray(X).mean(axis=0)
        return self

    def transform(self, X):
        return self.scale * (np.asarray(X) - self.mean_)


def frozen(head, encoder=None):
    return SSLClassifier(encoder or CountedEncoder(), mode="frozen", head=head)


def curve(estimators, cache, X=X, y=Y, **params):
    params = {"label_sizes": [6, 12], "n_draws": 2, "cv": 2, "random_state": 0, **params}
    return label_efficiency_curve(estimators, X, y, cache=cache, **params)


# Two splits, two sizes, two draws.
N_FITS = 8


def fits_of(*args, **kwargs) -> list[str]:
    """Return what a sweep has to fit."""
    FITS.clear()
    curve(*args, **kwargs)
    return list(FITS)


def assert_same(one, other):
    assert one.entries == other.entries
    assert one.content == other.content
    for name in one.entries:
        for a, b in zip(one.outcomes[name], other.outcomes[name], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def files_in(cache) -> list[Path]:
    return sorted(path for path in Path(cache).rglob("*") if path.is_file())


# ------------------------------------------------------------------------- going on


@pytest.mark.parametrize("stop", [1, 4, 10, 18])
def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, stop):
    # Two pretrainings come first, then the fits of one entry and those of the other.
    entries = {"alone": Counted(), "frozen": frozen(Counted("head"))}
    whole = curve(entries, None)
    assert len(FITS) == 2 + 2 * N_FITS
    expected = FITS[stop - 1 :]
    FITS.clear()
    TROUBLE[stop] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        curve(entries, tmp_path)
    assert len(FITS) == stop
    TROUBLE.clear()
    FITS.clear()
    resumed = curve(entries, tmp_path)
    # The one that was interrupted has to be done again, none of those before it.
    assert expected == FITS
    assert_same(resumed, whole)
    assert fits_of(entries, tmp_path) == []


@pytest.mark.parametrize("kind", [str, Path])
def test_a_finished_sweep_is_read_with_its_seconds(tmp_path, kind):
    entries = {"alone": Counted(), "frozen": frozen(Counted("head"))}
    first = curve(entries, kind(tmp_path / "new" / "directory"))
    FITS.clear()
    again = curve(entries, kind(tmp_path / "new" / "directory"))
    assert FITS == []
    assert_same(first, again)
    for name in entries:
        np.testing.assert_array_equal(again.fit_seconds[name], first.fit_seconds[name])
        np.testing.assert_array_equal(again.pretrain_seconds[name], first.pretrain_seconds[name])


def test_ctrl_c_is_no_failed_fit():
    TROUBLE[3] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        curve({"alone": Counted()}, None)
    assert len(FITS) == 3


def test_without_a_cache_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert len(fits_of({"alone": Counted()}, None)) == N_FITS
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_asks_for_more_fits_what_is_new(tmp_path):
    entries = {"alone": Counted()}
    curve(entries, tmp_path)
    assert fits_of(entries, tmp_path, label_sizes=[6, 9, 12]) == ["clf"] * 4
    assert fits_of(entries, tmp_path, n_draws=3) == ["clf"] * 4
    more = entries | {"frozen": frozen(Counted("head"))}
    assert fits_of(more, tmp_path) == ["encoder"] * 2 + ["head"] * N_FITS
    # Another head on the encoder that is there.
    more["second"] = frozen(Counted("second head"))
    assert fits_of(more, tmp_path) == ["second head"] * N_FITS
    # Less, under another name, or scored by another metric, is nothing new.
    assert fits_of({"mine": Counted()}, tmp_path, label_sizes=[12], n_draws=1) == []
    assert fits_of(entries, tmp_path, scoring="f1_macro") == []


def test_threads_share_a_cache_with_one_job(tmp_path):
    entries = {"alone": Counted(), "frozen": frozen(Counted("head"))}
    with parallel_config("threading"):
        first = curve(entries, tmp_path, n_jobs=2)
    FITS.clear()
    assert_same(curve(entries, tmp_path), first)
    assert FITS == []


@pytest.mark.slow
def test_another_process_finds_what_this_one_kept(tmp_path):
    encoder = tmp_path / "encoder.pkl"
    encoder.write_bytes(pickle.dumps(ScarfTransformer(**SMALL).fit(MORE)))
    script = textwrap.dedent(
        f"""
        import pickle
        from pathlib import Path
        import numpy as np
        from sklearn.frozen import FrozenEstimator
        from sklearn.naive_bayes import GaussianNB
        from sslgex import ScarfTransformer, SSLClassifier
        from sslgex.evaluation import _identity, label_efficiency_curve

        fitted, fit = [], GaussianNB.fit

        def counted(self, X, y):
            fitted.append(self.var_smoothing)
            return fit(self, X, y)

        GaussianNB.fit = counted
        y = np.arange(60) % 3
        X = np.random.default_rng(0).normal(size=(60, 5)) + np.eye(3, 5)[y]
        given = FrozenEstimator(pickle.loads(Path({str(encoder)!r}).read_bytes()))
        unfitted = ScarfTransformer(**{SMALL!r})
        entries = {{
            "alone": GaussianNB(var_smoothing=1e-3),
            "frozen": SSLClassifier(unfitted, mode="frozen", head=GaussianNB(var_smoothing=1e-2)),
            "given": SSLClassifier(given, mode="frozen", head=GaussianNB(var_smoothing=1e-1)),
        }}
        results = label_efficiency_curve(
            entries,
            X,
            np.array(["a", "b", "c"])[y],
            label_sizes=[6],
            n_draws=1,
            cv=2,
            random_state=0,
            cache={str(tmp_path / "cache")!r},
        )
        GaussianNB.fit = fit
        """
    )
    here: dict = {}
    exec(script, here)
    assert here["fitted"] == [1e-3, 1e-3, 1e-2, 1e-2, 1e-1, 1e-1]
    there = subprocess.run(
        [sys.executable, "-c", script + "print(results.content, *fitted)"],
        cwd=tmp_path,  # not beside a source tree, which would be imported
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == [here["results"].content]


# ------------------------------------------------- other data, parameters, seeds, versions


def one_value_changed(X):
    X = X.copy()
    X[17, 3] += 1e-9
    return X


OTHER = {
    "a value of X": {"X": one_value_changed(X)},
    "the type of X": {"X": X.astype(np.float32)},
    "gene names": {"X": pd.DataFrame(X, columns=list("abcde"))},
    "a label": {"y": np.where(np.arange(N) == 17, (Y + 1) % 3, Y)},
    "the names of labels": {"y": np.array(["a", "b", "c"])[Y]},
    "unlabelled samples": {"X_unlabeled": MORE},
    "the seed": {"random_state": 1},
    "the splits": {"cv": [(np.arange(0, N, 2), np.arange(1, N, 2))] * 2},
}


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_other_data_splits_or_seeds_are_other_fits(tmp_path, other):
    entries = {"alone": Counted(), "frozen": frozen(Counted("head"))}
    curve(entries, tmp_path)
    FITS.clear()
    results = curve(entries, tmp_path, **other)
    assert len(FITS) == 2 + 2 * N_FITS
    assert_same(results, curve(entries, None, **other))


def test_other_unlabelled_samples_are_other_fits(tmp_path):
    entries = {"frozen": frozen(Counted("head"))}
    curve(entries, tmp_path, X_unlabeled=MORE)
    changed = one_value_changed(MORE)
    assert len(fits_of(entries, tmp_path, X_unlabeled=changed)) == 2 + N_FITS
    assert len(fits_of(entries, tmp_path, X_unlabeled=[MORE[:5], MORE[5:]])) == 2 + N_FITS
    assert fits_of(entries, tmp_path, X_unlabeled=MORE) == []


def test_the_papers_protocol_has_fits_of_its_own(tmp_path):
    entries = {"alone": Counted()}
    curve(entries, tmp_path)
    FITS.clear()
    results = curve(entries, tmp_path, protocol="dradjat2025")
    assert len(FITS) == N_FITS
    assert_same(results, curve(entries, None, protocol="dradjat2025"))


@pytest.mark.parametrize(
    ("entry", "new"),
    [
        (Counted(bias=0.1), ["clf"] * N_FITS),
        (Counted(random_state=5), ["clf"] * N_FITS),
        (GaussianNB(), []),
        (frozen(Counted("clf", bias=0.1)), ["clf"] * N_FITS),
        (frozen(Counted(), CountedEncoder(scale=2.0)), ["encoder"] * 2 + ["clf"] * N_FITS),
        (frozen(Counted(), CountedEncoder(random_state=1)), ["encoder"] * 2 + ["clf"] * N_FITS),
    ],
    ids=["parameter", "seed", "class", "head", "encoder", "encoder's seed"],
)
def test_other_parameters_are_other_fits(tmp_path, entry, new):
    curve({"it": Counted()}, tmp_path)
    curve({"it": frozen(Counted())}, tmp_path)
    FITS.clear()
    results = curve({"it": entry}, tmp_path)
    assert new == FITS
    assert_same(results, curve({"it": entry}, None))


def test_a_parameter_that_only_the_fit_has_is_another_fit(tmp_path):
    # Everything that belongs to the classifier tells it from others, not its encoder alone.
    curve({"it": frozen(Counted())}, tmp_path)
    entry = frozen(Counted()).set_params(class_weight="balanced")
    assert fits_of({"it": entry}, tmp_path) == ["clf"] * N_FITS


def given(encoder):
    return {"given": frozen(Counted(), FrozenEstimator(encoder))}


def test_other_weights_of_a_fitted_encoder_are_other_fits(tmp_path):
    encoder = ScarfTransformer(**SMALL).fit(MORE[:10])
    curve(given(encoder), tmp_path)
    assert fits_of(given(encoder), tmp_path) == []
    encoder = ScarfTransformer(**SMALL).fit(MORE[10:])
    assert fits_of(given(encoder), tmp_path) == ["clf"] * N_FITS


def test_the_same_weights_are_the_same_encoder_wherever_they_come_from(tmp_path):
    # A script that is run again fits or loads its encoder again.
    encoder = ScarfTransformer(**SMALL).fit(MORE)
    curve(given(encoder), tmp_path)
    assert fits_of(given(pickle.loads(pickle.dumps(encoder))), tmp_path) == []
    assert fits_of(given(ScarfTransformer(**SMALL).fit(MORE)), tmp_path) == []


def test_one_weight_is_enough(tmp_path):
    scarf = ScarfTransformer(**SMALL).fit(MORE)
    entries = given(scarf)
    curve(entries, tmp_path)
    name, weight = next(iter(scarf.encoder_.named_parameters()))
    weight.data[(0,) * weight.ndim] += 1e-3
    assert "weight" in name
    assert fits_of(entries, tmp_path) == ["clf"] * N_FITS


@pytest.mark.parametrize(
    ("package", "entry"),
    [
        ("scikit-learn", GaussianNB()),
        ("scikit-learn", frozen(GaussianNB())),
        ("scikit-learn", SSLClassifier(hidden_layer_sizes=(4,), max_epochs=1)),
        ("torch", SSLClassifier(hidden_layer_sizes=(4,), max_epochs=1)),
    ],
    ids=["scikit-learn's classifier", "as a head", "ours", "ours and torch"],
)
def test_another_version_is_another_fit(tmp_path, monkeypatch, package, entry):
    curve({"it": entry}, tmp_path)
    n = len(files_in(tmp_path))
    version = importlib.metadata.version
    monkeypatch.setattr(
        "sslgex.evaluation._identity.version",
        lambda name: "0.0.0" if name == package else version(name),
    )
    _identity._own_source.cache_clear()
    curve({"it": entry}, tmp_path)
    # Beside the files of the fits, all made again, there may be those of the encoder.
    assert len(files_in(tmp_path)) >= n + N_FITS


def test_another_state_of_this_package_is_another_fit(tmp_path, monkeypatch):
    entries = {"frozen": frozen(Counted())}
    curve(entries, tmp_path)
    monkeypatch.setattr(_identity, "_own_source", lambda: "edited")
    assert fits_of(entries, tmp_path) == ["encoder"] * 2 + ["clf"] * N_FITS


MODULE = """
from sklearn.dummy import DummyClassifier

SHIFT = 0.0

def helper(X):
    return X + SHIFT

class Base(DummyClassifier):
    def fit(self, X, y):
        return super().fit(helper(X), y)

class Mine(Base):
    pass

class Other(DummyClassifier):
    pass
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Mine(Base):\n    pass", "class Mine(Base):\n    x = 1"),
        ("super().fit(helper(X), y)", "super().fit(helper(2 * X), y)"),
        ("return X + SHIFT", "return X - SHIFT"),
        ("SHIFT = 0.0", "SHIFT = 1.0"),
    ],
    ids=["the class", "its base", "a function", "a constant"],
)
def test_an_edited_module_of_the_user_is_another_fit(tmp_path, monkeypatch, old, new):
    monkeypatch.syspath_prepend(str(tmp_path))
    file, cache = tmp_path / "my_own_model.py", tmp_path / "cache"
    counts = []
    for source in (MODULE, MODULE, MODULE.replace(old, new)):
        file.write_text(source)
        os.utime(file, (len(counts), len(counts)))  # the clock may not have moved on
        sys.modules.pop("my_own_model", None)
        importlib.invalidate_caches()
        linecache.clearcache()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        curve({"mine": importlib.import_module("my_own_model").Mine()}, cache)
        counts.append(len(files_in(cache)))
    sys.modules.pop("my_own_model", None)
    assert counts == [N_FITS, N_FITS, 2 * N_FITS]


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage"])
def test_a_damaged_file_is_computed_again_and_said(tmp_path, damage):
    entries = {"alone": Counted(), "frozen": frozen(Counted("head"))}
    first = curve(entries, tmp_path)
    files = files_in(tmp_path)
    assert len(files) == 2 + 2 * N_FITS
    for file in files:
        content = file.read_bytes()
        broken = {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00garbage"}
        file.write_bytes(broken[damage])
    FITS.clear()
    with pytest.warns(UserWarning, match="is damaged, and computed anew") as caught:
        again = curve(entries, tmp_path)
    assert {str(w.message).split(" is damaged")[0] for w in caught} == {str(f) for f in files}
    assert len(FITS) == len(files)
    assert_same(again, first)
    # What was damaged is whole again.
    assert fits_of(entries, tmp_path) == []


def test_one_damaged_file_costs_one_fit(tmp_path):
    entries = {"alone": Counted()}
    first = curve(entries, tmp_path)
    files_in(tmp_path)[3].write_bytes(b"")
    FITS.clear()
    with pytest.warns(UserWarning, match="is damaged, and computed anew") as caught:
        assert_same(curve(entries, tmp_path), first)
    assert FITS == ["clf"]
    assert len(caught) == 1


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    curve({"alone": Counted()}, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(files_in(tmp_path)) == 1 + N_FITS


def test_a_failure_is_not_kept(tmp_path):
    entries = {"frail": Counted()}
    TROUBLE[3] = ArithmeticError("once")
    with pytest.warns(FitFailedWarning, match="failed in 1 of 8 fits"):
        results = curve(entries, tmp_path)
    assert np.isnan(results.scores("accuracy")["frail"]).sum() == 1
    TROUBLE.clear()
    assert fits_of(entries, tmp_path) == ["clf"]
    results = curve(entries, tmp_path)
    assert np.isfinite(results.scores("accuracy")["frail"]).all()


def test_a_failed_pretraining_is_not_kept(tmp_path):
    entries = {"frozen": frozen(Counted())}
    TROUBLE[2] = ArithmeticError("once")
    with pytest.warns(FitFailedWarning, match="failed in 4 of 8 fits"):
        curve(entries, tmp_path)
    TROUBLE.clear()
    assert fits_of(entries, tmp_path) == ["encoder"] + ["clf"] * 4


def test_what_was_done_before_an_error_is_raised_is_kept(tmp_path):
    entries = {"frail": Counted()}
    TROUBLE[6] = ArithmeticError("once")
    with pytest.raises(ArithmeticError, match="once"):
        curve(entries, tmp_path, error_score="raise")
    TROUBLE.clear()
    assert fits_of(entries, tmp_path, error_score="raise") == ["clf"] * 3


def test_on_a_full_disk_the_sweep_goes_on(tmp_path, monkeypatch):
    entries = {"alone": Counted()}
    expected = curve(entries, None)
    FITS.clear()
    dump = joblib.dump

    def full(value, path, *args, **kwargs):
        if len(FITS) > 3:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return dump(value, path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(joblib, "dump", full)
        with pytest.warns(UserWarning, match=r"could not be kept.*No space left on device"):
            assert_same(curve(entries, tmp_path), expected)
    # What could be kept was kept, and nothing half.
    assert len(files_in(tmp_path)) == 3
    FITS.clear()
    assert_same(curve(entries, tmp_path), expected)
    assert FITS == ["clf"] * (N_FITS - 3)


def test_ctrl_c_while_a_file_is_written_leaves_nothing_half(tmp_path, monkeypatch):
    entries = {"alone": Counted()}
    dump = joblib.dump

    def interrupted(value, path, *args, **kwargs):
        if len(FITS) > 3:
            Path(path).write_bytes(b"half")
            raise KeyboardInterrupt
        return dump(value, path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(joblib, "dump", interrupted)
        with pytest.raises(KeyboardInterrupt):
            curve(entries, tmp_path)
    FITS.clear()
    assert_same(curve(entries, tmp_path), curve(entries, None))
    assert FITS[: N_FITS - 3] == ["clf"] * (N_FITS - 3)
    assert len(FITS) == 2 * N_FITS - 3


class Unpicklable(CountedEncoder):
    def fit(self, X, y=None):
        self.centre_ = lambda X: X - X.mean()
        return super().fit(X)


def test_an_encoder_that_cannot_be_kept_is_fitted_again(tmp_path):
    # Like a full disk: the sweep needs no file of it.
    entries = {"odd": frozen(Counted(), Unpicklable())}
    with pytest.warns(UserWarning, match="could not be kept"):
        results = curve(entries, tmp_path)
    assert np.isfinite(results.scores("accuracy")["odd"]).all()
    FITS.clear()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert_same(curve(entries, tmp_path), results)
    assert FITS == ["encoder"] * 2


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=["None", "RandomState"])
def test_a_cache_needs_a_seed_that_can_be_told(tmp_path, seed):
    with pytest.raises(ValueError, match=r"cache=.* give an integer random_state, not"):
        curve({"alone": Counted()}, tmp_path, random_state=seed)
    assert FITS == []


def test_an_entry_that_cannot_be_told_from_others_is_refused(tmp_path):
    entries = {
        "alone": Counted(),
        "odd": make_pipeline(FunctionTransformer(lambda X: X**2), Counted()),
    }
    with pytest.raises(ValueError, match=r"'odd' cannot be told from others.*a lambda"):
        curve(entries, tmp_path)
    # Without a cache it can be used.
    results = curve(entries, None)
    assert np.isfinite(results.scores("accuracy")["odd"]).all()


def test_an_encoder_that_cannot_be_told_from_others_is_refused(tmp_path):
    entry = frozen(Counted(), FunctionTransformer(lambda X: X**2))
    with pytest.raises(ValueError, match=r"'odd' cannot be told from others"):
        curve({"odd": entry}, tmp_path)
    assert FITS == []
    assert len(fits_of({"odd": entry, "other": frozen(Counted("other"))}, None)) == 2 + 2 * N_FITS


@pytest.mark.parametrize("cached", [False, True])
def test_a_class_of_a_module_without_a_file_can_be_used(tmp_path, monkeypatch, cached):
    # Such as one that was made by exec.
    module = types.ModuleType("made_by_hand")
    exec(
        "from sklearn.dummy import DummyClassifier\nclass Mine(DummyClassifier): pass", vars(module)
    )
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    results = curve({"mine": module.Mine()}, tmp_path if cached else None)
    assert np.isfinite(results.scores("accuracy")["mine"]).all()


def test_a_function_of_a_module_can_be_told(tmp_path):
    entry = make_pipeline(FunctionTransformer(np.square), Counted())
    curve({"odd": entry}, tmp_path)
    assert fits_of({"odd": entry}, tmp_path) == []
    other = make_pipeline(FunctionTransformer(np.abs), Counted())
    assert fits_of({"odd": other}, tmp_path) == ["clf"] * N_FITS


def test_a_cache_that_is_a_file_is_refused_before_any_fit(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for path in (file, file / "below"):
        with pytest.raises(ValueError, match=rf"cache='{re.escape(str(path))}' cannot be written"):
            curve({"alone": Counted()}, path)
    assert FITS == []
    assert file.read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_cache_that_cannot_be_written_is_refused_before_any_fit(tmp_path):
    tmp_path.chmod(0o500)
    try:
        for path in (tmp_path, tmp_path / "new"):
            with pytest.raises(ValueError, match="cannot be written to"):
                curve({"alone": Counted()}, path)
        assert FITS == []
    finally:
        tmp_path.chmod(0o700)
