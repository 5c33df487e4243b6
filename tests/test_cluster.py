"""Sweeps and grid searches on a real dask cluster of two worker processes."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import ScarfTransformer, SSLClassifier
from sslgex._training import threads, workers
from sslgex.evaluation import (
    _cluster,
    _profiles,
    architecture_sweep,
    embedding_spectrum,
    label_efficiency_curve,
    pretraining_size_curve,
)

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.slow

N, GENES = 60, 5
RNG = np.random.default_rng(0)
Y = np.arange(N) % 3
X = RNG.normal(size=(N, GENES)) + np.eye(3, GENES)[Y]
MORE = RNG.normal(size=(20, GENES))
SMALL = {"projection_sizes": (4,), "max_epochs": 1, "device": "cpu", "random_state": 0}
# Two splits, two sizes, two draws.
SIZES = {"label_sizes": [6, 12], "n_draws": 2, "cv": 2, "random_state": 0, "error_score": "raise"}
N_FITS = 8


@pytest.fixture(scope="module")
def client():
    kw = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    cluster = distributed.LocalCluster(n_workers=2, env={"GIVEN_TO_WORKERS": "1"}, **kw)
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def both(client):
    """Wait until both workers are there, as one may have been killed."""
    client.wait_for_workers(2)
    return client


class Noted(ClassifierMixin, BaseEstimator):
    """Notes in a file who fitted what; the fifth fit there kills its process."""

    def __init__(self, notes, *, mortal=True, random_state=None):
        self.notes = notes
        self.mortal = mortal
        self.random_state = random_state

    def fit(self, X, y):
        with Path(self.notes).open("a") as file:
            file.write(f"{os.getpid()} {joblib.hash([np.asarray(X), y, self.random_state])}\n")
        if self.mortal and "GIVEN_TO_WORKERS" in os.environ and len(read(self.notes)) >= 5:
            try:
                Path(f"{self.notes}.killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        self.model_ = GaussianNB().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.model_.predict(X)


def read(notes) -> list[tuple[str, str]]:
    return [tuple(line.split()) for line in Path(notes).read_text().splitlines()]


def frozen(**params):
    return SSLClassifier(ScarfTransformer(**SMALL | params), mode="frozen", head="linear")


def on_cluster(function, *args, **kwargs):
    with parallel_config("dask"):
        return function(*args, **kwargs)


def assert_same(one, other):
    assert one.content == other.content
    assert one.outcomes.keys() == other.outcomes.keys()
    for name, splits in one.outcomes.items():
        for a, b in zip(splits, other.outcomes[name], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def count_arrivals():
    """In a worker: count from now on how often profiles are unpickled."""
    _profiles.Profiles.arrivals = 0

    def arrive(self, state):
        type(self).arrivals += 1
        vars(self).update(state)

    _profiles.Profiles.__setstate__ = arrive


def arrivals() -> int:
    del _profiles.Profiles.__setstate__
    return _profiles.Profiles.arrivals


def n_held() -> int:
    return len(_cluster.HELD)


# ------------------------------------------------------------------------ what is sent


def test_a_curve_is_that_of_one_job_and_its_samples_are_sent_once(both):
    entries = {
        "linear": LogisticRegression(),
        "forest": RandomForestClassifier(3, n_jobs=2),
        "scarf": frozen(hidden_layer_sizes=(4,)),
        "pca": SSLClassifier(PCA(3), mode="frozen", head="linear"),
    }
    kw = {"X_unlabeled": [MORE], **SIZES}
    both.run(count_arrivals)
    there = on_cluster(label_efficiency_curve, entries, X, Y, **kw)
    # Four pretrainings and sixteen batches of fits: X and X_unlabeled come to each worker once.
    assert list(both.run(arrivals).values()) == [2, 2]
    assert_same(there, label_efficiency_curve(entries, X, Y, **kw))


def test_nothing_stays_on_the_cluster_not_even_after_an_error(both, tmp_path):
    before = both.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.worker_plugins))
    wrong = {"odd": GaussianNB(var_smoothing="much")}
    with pytest.raises(ValueError, match="var_smoothing"):
        on_cluster(label_efficiency_curve, wrong, X, Y, **SIZES)
    on_cluster(label_efficiency_curve, {"nb": GaussianNB()}, X, Y, **SIZES)
    after = both.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.worker_plugins))
    assert before == after
    assert list(both.run(n_held).values()) == [0, 0]


def test_the_progress_bar_reaches_its_end(both, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    on_cluster(label_efficiency_curve, {"nb": GaussianNB()}, X, Y, **SIZES)
    assert "fits: 100%" in capsys.readouterr().err


def test_an_encoder_beyond_dasks_limit_of_a_graph_is_sent_without_a_warning(both):
    # Warnings are errors here. 20 MB of weights, that a user with 20,000 genes has at once.
    wide = np.random.default_rng(0).normal(size=(N, 20_000)).astype(np.float32)
    params = {"hidden_layer_sizes": (256,), "architecture": "mlp", "batch_size": 60}
    entries = {"scarf": frozen(**params)}
    kw = SIZES | {"label_sizes": [6], "n_draws": 1}
    results = on_cluster(label_efficiency_curve, entries, wide, Y, **kw)
    assert_same(results, label_efficiency_curve(entries, wide, Y, **kw))


def test_an_architecture_sweep_is_that_of_one_job(both):
    scarf = {"scarf": frozen(architecture="mlp")}
    kw = {"depths": [1, 2], "widths": [4], "X_unlabeled": [MORE], **SIZES}
    both.run(count_arrivals)
    there = on_cluster(architecture_sweep, scarf, X, Y, **kw)
    assert list(both.run(arrivals).values()) == [2, 2]
    assert_same(there.results, architecture_sweep(scarf, X, Y, **kw).results)


def test_parts_of_the_pool_are_chosen_where_the_pool_is(both):
    entries = {"scarf": frozen(hidden_layer_sizes=(4,))}
    kw = {"pretrain_sizes": [0.5, 1.0], "label_size": 6, "X_unlabeled": [MORE]}
    kw |= {name: SIZES[name] for name in ("n_draws", "cv", "random_state", "error_score")}
    both.run(count_arrivals)
    there = on_cluster(pretraining_size_curve, entries, X, Y, **kw)
    assert list(both.run(arrivals).values()) == [2, 2]
    assert_same(there, pretraining_size_curve(entries, X, Y, **kw))


def test_a_diagnosis_is_that_of_one_job(both):
    pretrainer = ScarfTransformer(hidden_layer_sizes=(4,), **SMALL)
    both.run(count_arrivals)
    there = on_cluster(embedding_spectrum, pretrainer, X, cv=2, random_state=0)
    assert list(both.run(arrivals).values()) == [1, 1]
    here = embedding_spectrum(pretrainer, X, cv=2, random_state=0)
    for name, spectra in here.singular_values.items():
        np.testing.assert_array_equal(np.array(there.singular_values[name]), np.array(spectra))


# ---------------------------------------------------------------- what a killed worker costs


def test_a_killed_worker_costs_its_tasks_only(both, tmp_path):
    notes = tmp_path / "notes"
    entries = {"noted": Noted(str(notes)), "scarf": frozen(hidden_layer_sizes=(4,))}
    pids = {str(pid) for pid in both.run(os.getpid).values()}
    results = on_cluster(label_efficiency_curve, entries, X, Y, **SIZES)
    assert Path(f"{notes}.killed").exists()
    made = read(notes)
    immortal = entries | {"noted": Noted(str(tmp_path / "others"), mortal=False)}
    assert_same(results, label_efficiency_curve(immortal, X, Y, **SIZES))
    # Whatever was made twice, the killed worker had made: what was its own, and never got away.
    (killed,) = pids - {str(pid) for pid in both.run(os.getpid).values()}
    times = Counter(fit for _, fit in made)
    assert len(times) == N_FITS
    twice = {fit for fit, n in times.items() if n > 1}
    assert twice
    assert twice <= {fit for pid, fit in made if pid == killed}
    assert max(times.values()) == 2


def test_with_a_cache_a_killed_worker_costs_the_fit_that_it_was_at(both, tmp_path):
    notes, cache = tmp_path / "notes", tmp_path / "cache"
    entries = {"noted": Noted(str(notes))}
    results = on_cluster(label_efficiency_curve, entries, X, Y, cache=cache, **SIZES)
    assert Path(f"{notes}.killed").exists()
    made = read(notes)
    assert len(made) == N_FITS + 1
    assert len({fit for _, fit in made}) == N_FITS
    # What the workers have kept is found here.
    assert_same(label_efficiency_curve(entries, X, Y, cache=cache, **SIZES), results)
    assert read(notes) == made


def test_a_grid_search_over_a_pipeline_survives_a_killed_worker(both, tmp_path):
    notes = tmp_path / "notes"

    def search(mortal):
        steps = [
            ("scale", StandardScaler()),
            ("scarf", ScarfTransformer(hidden_layer_sizes=(4,), **SMALL)),
            ("classify", Noted(str(notes), mortal=mortal, random_state=0)),
        ]
        grid = {"scarf__corruption_rate": [0.2, 0.4, 0.6], "scarf__max_epochs": [1, 2]}
        return GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise")

    # scatter= gives each worker a copy; dask's memory manager would soon take all but one away.
    both.amm.stop()
    try:
        with parallel_config("dask", scatter=[X, Y]):
            there = search(mortal=True).fit(X, Y)
    finally:
        both.amm.start()
    assert Path(f"{notes}.killed").exists()
    here = search(mortal=False).fit(X, Y)
    assert there.best_params_ == here.best_params_
    for split in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(there.cv_results_[split], here.cv_results_[split])
    np.testing.assert_array_equal(there.predict_proba(X), here.predict_proba(X))


# ------------------------------------------------------------------------- the workers


def test_workers_of_a_cluster_have_their_share_of_the_processors(both):
    counts = set(both.run(workers.n_workers).values())
    (n,) = counts  # what other tests have started in this process counts too
    assert n >= 2
    share = max(1, joblib.cpu_count() // n)
    assert list(both.run(threads.share).values()) == [share, share]


def test_workers_of_a_cluster_have_numbers_of_their_own(both):
    one, other = sorted(both.run(workers.worker_index).values())
    assert 0 <= one < other < both.run(workers.n_workers).popitem()[1]


def test_what_a_nanny_sets_is_told_from_what_is_inherited(both):
    # dask-cuda tells a worker its GPUs in this way.
    assert list(both.run(workers.set_here, "GIVEN_TO_WORKERS").values()) == [True, True]
    assert list(both.run(workers.set_here, "PATH").values()) == [False, False]


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="no /proc here")
def test_a_cache_that_workers_do_not_see_is_refused_before_any_fit(both, tmp_path, monkeypatch):
    # A path that is another directory for every process, as for other machines.
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes"
    notes.touch()
    entries, cache = {"noted": Noted(str(notes))}, "/proc/self/cwd"
    with pytest.raises(ValueError, match=r"cache='/proc/self/cwd' is not there for 2 of 2 workers"):
        on_cluster(label_efficiency_curve, entries, X, Y, cache=cache, **SIZES)
    assert read(notes) == []


def test_the_script_of_the_documentation_runs(tmp_path):
    page = Path(__file__).parents[1] / "docs" / "clusters.rst"
    blocks = re.findall(r".. code-block:: python\n\n((?:   .*\n|\n)+)", page.read_text())
    (script,) = (textwrap.dedent(block) for block in blocks if "def main" in block)
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-W", "error::UserWarning", "script.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "(2, 1, 2)\n"
    assert any((tmp_path / "sweep").rglob("*.joblib"))
