"""The embedded TCGA set and the simulator."""

import doctest
import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sslgex.datasets
from sslgex.datasets import _simulator, _tcga_brca, load_tcga_brca, make_expression

RAW = Path(__file__).parents[2] / "shared" / "data"
CLASS_COUNTS = {"LumA": 419, "LumB": 140, "Basal": 130, "Her2": 46, "Normal-like": 34}
STEP = 1 / 256


@pytest.fixture(scope="module")
def brca():
    return load_tcga_brca()


@pytest.fixture(scope="module")
def raw():
    path = RAW / "tcga_brca_pam50.h5ad"
    if not path.exists():
        pytest.skip("the raw file tcga_brca_pam50.h5ad is not beside the repository")
    return pytest.importorskip("anndata").read_h5ad(path)


@pytest.fixture(scope="module")
def sim():
    return make_expression(random_state=0)


# ---------------------------------------------------------------------------- load_tcga_brca


def test_brca_shapes_and_types(brca):
    n, d = brca.data.shape
    assert (n, d) == (769, 3000)
    assert brca.data.dtype == np.float32
    assert brca.data.flags.c_contiguous
    assert np.isfinite(brca.data).all()
    assert brca.target.shape == brca.sample_ids.shape == brca.patient_ids.shape == (n,)
    assert brca.feature_names.shape == (d,)
    for names in (brca.target, brca.target_names, brca.feature_names, brca.sample_ids):
        assert names.dtype.kind == "U"
    assert brca.frame is None


def test_brca_class_counts(brca):
    names, counts = np.unique(brca.target, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == CLASS_COUNTS
    np.testing.assert_array_equal(brca.target_names, names)


def test_brca_has_one_row_per_patient(brca):
    assert len(np.unique(brca.patient_ids)) == 769
    assert all(re.fullmatch(r"TCGA-\w\w-\w{4}", p) for p in brca.patient_ids)
    np.testing.assert_array_equal(brca.sample_ids, brca.patient_ids)
    assert len(np.unique(brca.data, axis=0)) == 769


def test_brca_genes_are_unique_and_their_order_tells_nothing(brca):
    assert len(np.unique(brca.feature_names)) == 3000
    # The source lists the genes by how well they separate the labels.
    assert sorted(brca.feature_names) == brca.feature_names.tolist()


@pytest.mark.parametrize(
    ("gene", "higher", "lower"),
    [
        ("ESR1", "LumA", "Basal"),
        ("ESR1", "LumB", "Her2"),
        ("KRT5", "Basal", "LumB"),
        ("FOXC1", "Basal", "LumA"),
        ("MKI67", "LumB", "LumA"),
    ],
)
def test_brca_marker_genes(brca, gene, higher, lower):
    values = brca.data[:, brca.feature_names == gene]
    medians = [np.median(values[brca.target == subtype]) for subtype in (higher, lower)]
    assert medians[0] > medians[1] + 0.5


@pytest.mark.parametrize("gene", ["ERBB2", "GRB7"])
def test_brca_her2_amplicon_is_highest_in_her2(brca, gene):
    values = brca.data[:, brca.feature_names == gene]
    medians = {t: np.median(values[brca.target == t]) for t in brca.target_names}
    assert max(medians, key=medians.get) == "Her2"


def test_brca_values_are_log2(brca):
    assert -9 < brca.data.min() < 0
    assert 15 < brca.data.max() < 25
    # No gene is constant, none is standardised.
    assert brca.data.std(axis=0).min() > 1
    assert np.ptp(brca.data.mean(axis=0)) > 10


def test_brca_agrees_with_the_raw_file(brca, raw):
    columns = raw.var_names.get_indexer(brca.feature_names)
    rows = raw.obs_names.get_indexer(brca.sample_ids)
    assert columns.min() >= 0
    np.testing.assert_array_equal(rows, np.arange(769))
    original = np.asarray(raw.X, dtype=np.float64)[:, columns]
    error = np.abs(brca.data - original).max()
    assert error <= STEP / 2
    # The stated error is the measured one.
    assert f"{error:.5f} log2 units" in brca.DESCR
    np.testing.assert_array_equal(brca.target, raw.obs["label"].astype(str))
    np.testing.assert_array_equal(brca.patient_ids, raw.obs["patient"].astype(str))


def test_brca_genes_are_the_most_variable_of_the_raw_file(brca, raw):
    variance = np.asarray(raw.X, dtype=np.float64).var(axis=0)
    chosen = raw.var_names.isin(brca.feature_names)
    assert variance[chosen].min() > variance[~chosen].max()


def test_brca_descr_states_the_source_of_the_raw_file(brca, raw):
    for key in ("unit", "source", "license", "gene_id"):
        assert raw.uns[key] in brca.DESCR


def test_brca_averaged_rows_are_means_of_two_tissues(brca, raw):
    path = RAW / "tcga_11paired.h5ad"
    if not path.exists():
        pytest.skip("the raw file tcga_11paired.h5ad is not beside the repository")
    paired = pytest.importorskip("anndata").read_h5ad(path)
    paired = paired[paired.obs["cancer"] == "BRCA"]
    genes = np.intersect1d(brca.feature_names, paired.var_names)
    X = brca.data[:, np.searchsorted(brca.feature_names, genes)]
    status = {s: paired[paired.obs["status"] == s, genes] for s in ("tumor", "normal")}
    tissue = {s: a.to_df().set_index(a.obs["patient"].astype(str)) for s, a in status.items()}
    both = tissue["tumor"].index.intersection(tissue["normal"].index)
    np.testing.assert_array_equal(brca.averaged_with_normal, np.isin(brca.patient_ids, both))
    distances = []
    for row, patient in zip(X, brca.patient_ids, strict=True):
        if patient in both:
            tumour, normal = (tissue[s].loc[patient].to_numpy() for s in ("tumor", "normal"))
            candidates = (tumour, (tumour + normal) / 2)
            distances.append([np.median(np.abs(row - c)) for c in candidates])
    to_tumour, to_mean = np.transpose(distances)
    assert (to_mean < to_tumour).all()
    assert np.median(to_mean) < 0.01 < 0.3 < np.median(to_tumour)


def test_brca_descr_agrees_with_the_data(brca):
    assert "3000" in brca.DESCR
    for subtype, count in CLASS_COUNTS.items():
        averaged = int(brca.averaged_with_normal[brca.target == subtype].sum())
        assert re.search(rf"^{subtype} +{count} +{averaged}$", brca.DESCR, re.MULTILINE)
    assert re.search(rf"^all +769 +{brca.averaged_with_normal.sum()}$", brca.DESCR, re.MULTILINE)
    assert f"{(brca.data == 0).mean():.1%}".replace("%", " %") in brca.DESCR.replace("\n", " ")
    assert f"down to {brca.data.min():.1f}" in brca.DESCR
    assert "labels" in brca.DESCR
    assert "transductive" in brca.DESCR
    assert "MIT" in brca.DESCR


def test_brca_files_are_small_and_hold_no_pickle(brca):
    file = files(brca.data_module.rpartition(".")[0]) / "data" / brca.filename
    assert len(file.read_bytes()) <= 4_500_000
    with np.load(file, allow_pickle=False) as stored:
        assert stored["values"].dtype == np.int16
        assert stored["step"] == STEP
        assert all(stored[key].dtype != object for key in stored.files)


def test_brca_return_X_y(brca):
    X, y = load_tcga_brca(return_X_y=True)
    np.testing.assert_array_equal(X, brca.data)
    np.testing.assert_array_equal(y, brca.target)


def test_brca_calls_share_no_memory():
    first = load_tcga_brca()
    first.data[:] = 0
    first.sample_ids[:] = ""
    assert load_tcga_brca().data.any()
    assert first.patient_ids[0] == "TCGA-3C-AAAU"


def test_brca_as_frame(brca):
    pd = pytest.importorskip("pandas")
    bunch = load_tcga_brca(as_frame=True)
    assert isinstance(bunch.data, pd.DataFrame)
    assert isinstance(bunch.target, pd.Series)
    np.testing.assert_array_equal(bunch.data.to_numpy(), brca.data)
    assert (bunch.data.dtypes == np.float32).all()
    assert bunch.data.index.tolist() == bunch.target.index.tolist() == brca.sample_ids.tolist()
    assert bunch.data.columns.tolist() == brca.feature_names.tolist()
    assert bunch.target.tolist() == brca.target.tolist()
    assert bunch.frame.shape == (769, 3001)
    assert bunch.frame.columns[-1] == bunch.target.name == "target"
    X, y = load_tcga_brca(as_frame=True, return_X_y=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)


def test_brca_as_frame_without_pandas_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "sslgex\[pandas\]"'):
        load_tcga_brca(as_frame=True)
    assert load_tcga_brca().data.shape == (769, 3000)


def test_brca_options_are_keyword_only():
    with pytest.raises(TypeError):
        load_tcga_brca(True)


# --------------------------------------------------------------------------- make_expression


def test_sim_shapes_and_types(sim):
    assert sim.data.shape == sim.counts.shape == (200, 1000)
    assert sim.data.dtype == np.float32
    assert np.isfinite(sim.data).all()
    assert sim.counts.dtype.kind == "i"
    assert sim.counts.min() == 0
    assert sim.target.shape == sim.batch.shape == sim.library_size.shape == (200,)
    assert sim.informative.shape == sim.module.shape == sim.feature_names.shape == (1000,)
    assert sim.informative.dtype == bool
    assert sim.activity.shape == (200, 10)
    assert len(np.unique(sim.feature_names)) == 1000
    assert "200 samples x 1000 genes" in sim.DESCR


def test_sim_data_is_log2_cpm(sim):
    np.testing.assert_array_equal(sim.library_size, sim.counts.sum(axis=1))
    cpm = sim.counts / sim.library_size[:, np.newaxis] * 1e6
    np.testing.assert_allclose(sim.data, np.log2(cpm + 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((np.exp2(sim.data.astype(float)) - 1).sum(axis=1), 1e6, rtol=1e-4)


def test_sim_return_X_y(sim):
    X, y = make_expression(return_X_y=True, random_state=0)
    np.testing.assert_array_equal(X, sim.data)
    np.testing.assert_array_equal(y, sim.target)


def test_sim_is_determined_by_random_state(sim):
    again = make_expression(random_state=np.random.RandomState(0))
    other = make_expression(random_state=1)
    for key in ("counts", "target", "module", "activity"):
        np.testing.assert_array_equal(again[key], sim[key])
        assert not np.array_equal(other[key], sim[key])


def test_sim_leaves_the_global_generator_alone():
    before = np.random.get_state()  # noqa: NPY002
    make_expression(50, 100, random_state=0)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_sim_difficulty_leaves_the_structure_unchanged(sim):
    harder = make_expression(
        class_sep=1, dispersion=1, library_size=1e4, library_size_cv=1, random_state=0
    )
    for key in ("target", "batch", "module", "informative"):
        np.testing.assert_array_equal(harder[key], sim[key])


@pytest.mark.parametrize("n_silent", [0, 7, 50])
def test_sim_silent_genes_have_no_counts(n_silent):
    sim = make_expression(50, 300, n_silent=n_silent, library_size=1e7, random_state=0)
    silent = sim.counts.sum(axis=0) == 0
    assert silent.sum() >= n_silent
    assert not silent[sim.informative].any()
    # At this depth hardly any other gene goes unseen.
    assert silent.sum() <= n_silent + 3


def test_sim_default_has_all_zero_genes_and_scattered_zeros(sim):
    detected = (sim.counts > 0).mean(axis=0)
    assert (detected == 0).sum() >= 50
    assert ((detected > 0) & (detected < 1)).sum() >= 20


def test_sim_modules_are_dealt_out_evenly():
    sim = make_expression(50, 300, n_informative=8, n_redundant=40, random_state=0)
    assert sim.informative.sum() == 8
    np.testing.assert_array_equal(np.sort(sim.module[sim.informative]), np.arange(8))
    np.testing.assert_array_equal(np.bincount(sim.module[sim.module >= 0]), np.full(8, 6))
    assert (sim.module == -1).sum() == 252


def test_sim_redundant_genes_follow_their_own_module():
    # Without classes, so that modules are independent; deep, so that every gene is seen.
    sim = make_expression(2000, 200, class_sep=0, library_size=1e9, random_state=0)
    genes = sim.module >= 0
    own = sim.module[genes]
    X = StandardScaler().fit_transform(sim.data[:, genes])
    A = StandardScaler().fit_transform(sim.activity)
    correlation = X.T @ A / len(X)
    with_own = correlation[np.arange(len(own)), own]
    assert with_own.min() > 0.1
    assert np.median(with_own) > 0.3
    np.testing.assert_array_equal(correlation.argmax(axis=1), own)
    informative = sim.informative[genes]
    assert np.median(with_own[informative]) > np.median(with_own[~informative]) + 0.2


def test_sim_other_genes_know_nothing_of_the_classes():
    sim = make_expression(600, 400, random_state=0)
    noise = (sim.module == -1) & (sim.counts.sum(axis=0) > 0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    assert cross_val_score(model, sim.data[:, noise], sim.target).mean() < 0.35
    assert cross_val_score(model, sim.data[:, ~noise], sim.target).mean() > 0.85


def test_sim_class_sep_is_the_distance_of_the_centres():
    sim = make_expression(4000, 60, class_sep=6, random_state=0)
    centres = np.array([sim.activity[sim.target == c].mean(axis=0) for c in range(4)])
    distance = np.linalg.norm(centres[:, np.newaxis] - centres, axis=2)
    np.testing.assert_allclose(distance[np.triu_indices(4, 1)], 6, atol=0.25)
    residual = sim.activity - centres[sim.target]
    np.testing.assert_allclose(residual.std(), 1, atol=0.02)


def test_sim_without_class_sep_is_chance():
    X, y = make_expression(class_sep=0, return_X_y=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    assert cross_val_score(model, X, y).mean() < 0.4


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_sim_batch_effect(effect):
    sim = make_expression(200, 300, n_batches=2, batch_effect=effect, random_state=0)
    np.testing.assert_array_equal(np.bincount(sim.batch), [100, 100])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    score = cross_val_score(model, sim.data, sim.batch).mean()
    if effect:
        assert score > 0.95
    else:
        assert 0.3 < score < 0.7


def test_sim_batch_effect_is_the_spread_of_the_shifts():
    options = {"n_samples": 400, "n_genes": 500, "dispersion": 0, "library_size": 1e8}
    sim = make_expression(**options, n_batches=2, batch_effect=0.8, random_state=0)
    noise = (sim.module == -1) & (sim.counts.min(axis=0) > 100)
    first, second = (sim.data[sim.batch == b][:, noise].mean(axis=0) for b in (0, 1))
    # The difference of two shifts has sqrt(2) times the spread of one.
    np.testing.assert_allclose((first - second).std(), 0.8 * np.sqrt(2), rtol=0.12)


def test_sim_one_batch_has_no_batch_effect(sim):
    assert not sim.batch.any()
    plain = make_expression(batch_effect=0, random_state=0)
    np.testing.assert_array_equal(plain.counts, sim.counts)


@pytest.mark.parametrize("cv", [0.1, 0.8])
def test_sim_library_sizes_vary_as_asked(cv):
    sim = make_expression(
        3000, 50, library_size=2e5, library_size_cv=cv, dispersion=0, random_state=0
    )
    np.testing.assert_allclose(sim.library_size.mean(), 2e5, rtol=0.06)
    np.testing.assert_allclose(sim.library_size.std() / sim.library_size.mean(), cv, rtol=0.12)


def test_sim_library_sizes_are_equal_if_asked():
    sim = make_expression(100, 100, library_size_cv=0, dispersion=0, random_state=0)
    assert sim.library_size.std() / sim.library_size.mean() < 0.005


def test_sim_counts_have_the_variance_of_a_negative_binomial():
    sim = make_expression(4000, 40, class_sep=0, dispersion=0.5, library_size_cv=0, random_state=0)
    # One gene among 40 moves the shares of the others, so only rare genes are clean.
    mean, variance = sim.counts.mean(axis=0), sim.counts.var(axis=0)
    share = mean / mean.sum()
    rare = (sim.module == -1) & (mean > 50) & (share < 0.02)
    assert rare.sum() >= 5
    dispersion = (variance - mean)[rare] / mean[rare] ** 2
    assert 0.4 < np.median(dispersion) < 1.1


def test_sim_without_dispersion_is_poisson():
    rng = np.random.RandomState(0)
    counts = _simulator._negative_binomial(np.full((20000, 2), 10.0), 0, rng)
    np.testing.assert_allclose(counts.var(axis=0), 10, rtol=0.05)
    counts = _simulator._negative_binomial(np.full((20000, 2), 10.0), 0.5, rng)
    np.testing.assert_allclose(counts.mean(axis=0), 10, rtol=0.05)
    np.testing.assert_allclose(counts.var(axis=0), 10 + 0.5 * 100, rtol=0.07)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, [50, 50, 50, 50]),
        ([0.7, 0.1, 0.1, 0.1], [140, 20, 20, 20]),
        ((4, 3, 2, 1), [80, 60, 40, 20]),
    ],
)
def test_sim_class_weights(weights, expected):
    sim = make_expression(200, 50, class_weights=weights, random_state=0)
    np.testing.assert_array_equal(np.bincount(sim.target), expected)


def test_sim_survives_samples_without_any_count():
    sim = make_expression(200, 30, library_size=0.5, random_state=0)
    assert (sim.library_size == 0).any()
    assert np.isfinite(sim.data).all()


def test_sim_is_learnable_but_not_trivial(sim):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    score = cross_val_score(model, sim.data, sim.target).mean()
    assert 0.8 < score < 0.99


def test_sim_unlabelled_samples_help_when_labels_are_few():
    raw, pca = [], []
    for seed in range(4):
        X, y = make_expression(800, return_X_y=True, random_state=seed)
        X = StandardScaler().fit_transform(X)
        Z = PCA(10, random_state=0).fit(X[:400]).transform(X)
        # Five labels per class.
        labelled = np.concatenate([np.flatnonzero(y[:400] == c)[:5] for c in range(4)])
        for scores, features in ((raw, X), (pca, Z)):
            model = LogisticRegression(max_iter=1000).fit(features[labelled], y[labelled])
            scores.append(model.score(features[400:], y[400:]))
    assert 0.5 < np.mean(raw) < 0.85
    assert np.mean(pca) > np.mean(raw) + 0.05


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"n_samples": 10.5}, TypeError, "n_samples"),
        ({"n_genes": 0}, ValueError, "n_genes"),
        ({"n_genes": "1000"}, TypeError, "n_genes"),
        ({"n_classes": 1}, ValueError, "n_classes"),
        ({"n_informative": 3}, ValueError, "n_informative"),
        ({"n_informative": 2.0}, TypeError, "n_informative"),
        ({"n_redundant": -1}, ValueError, "n_redundant"),
        ({"n_silent": -1}, ValueError, "n_silent"),
        ({"n_batches": 0}, ValueError, "n_batches"),
        ({"n_batches": 201}, ValueError, "n_batches=201 exceeds n_samples=200"),
        ({"class_sep": -1}, ValueError, "class_sep"),
        ({"class_sep": np.nan}, ValueError, "class_sep=nan must be finite"),
        ({"batch_effect": -0.1}, ValueError, "batch_effect"),
        ({"batch_effect": np.inf}, ValueError, "batch_effect=inf must be finite"),
        ({"dispersion": -1}, ValueError, "dispersion"),
        ({"library_size": 0}, ValueError, "library_size"),
        ({"library_size": "big"}, TypeError, "library_size"),
        ({"library_size_cv": -1}, ValueError, "library_size_cv"),
        ({"class_weights": [1, 1]}, ValueError, r"shape \(2,\), but n_classes=4"),
        ({"class_weights": [1, 1, 1, 0]}, ValueError, "positive and finite"),
        ({"class_weights": [1, 1, 1, np.nan]}, ValueError, "positive and finite"),
        ({"class_weights": [1000, 1, 1, 1]}, ValueError, "Class 2 would get none"),
        ({"n_samples": 3}, ValueError, "would get none of the n_samples=3"),
        ({"n_genes": 100, "n_redundant": 95}, ValueError, "make 110 genes, but n_genes=100"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_sim_bad_parameters(options, error, message):
    with pytest.raises(error, match=message):
        make_expression(**options)


def test_sim_options_are_keyword_only():
    with pytest.raises(TypeError):
        make_expression(200, 1000, 4)


# ------------------------------------------------------------------------------------- both


@pytest.mark.parametrize("module", [_tcga_brca, _simulator])
def test_docstring_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_public_names():
    assert sslgex.datasets.__all__ == [
        "build_archs4",
        "build_tcga",
        "cache_rows",
        "common_genes",
        "load_tcga_brca",
        "make_expression",
        "paper_split",
        "read_expression",
        "samples_first",
    ]
