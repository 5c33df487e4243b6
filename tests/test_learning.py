"""Pretraining learns what there is to learn, and nothing where there is nothing."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer
from sslgex._head import LinearHead
from sslgex._untrained import UntrainedTransformer
from sslgex.datasets import make_expression

SIZES = (64, 64)
METHODS = {
    ScarfTransformer: {},
    VimeTransformer: {},
    ByolTransformer: {
        "corruption_rate": 0.5,
        "projection_sizes": (256, 64),
        "prediction_sizes": (256, 64),
        "batch_size": 64,
    },
}
N_UNLABELLED, N_GENES = 600, 400
# Accuracy with 5 labels per class of 4: where the encoders start from, random weights, 0.40, and
# principal components, 0.80; the three methods from there, 0.64 to 0.75 and 0.82 to 0.85;
# pretrained on noise, 0.38 to 0.42.
MARGIN, NOISE = {"mlp": 0.15, "residual": 0.02}, 0.06
architectures = pytest.mark.parametrize("architecture", MARGIN)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads only wait for each other in networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    X, y = make_expression(
        N_UNLABELLED + 300, N_GENES, class_sep=5.0, return_X_y=True, random_state=0
    )
    return X[:N_UNLABELLED], X[N_UNLABELLED:], y[N_UNLABELLED:]


def pretrained(cls, X, **params):
    kw = {"max_epochs": 40, "random_state": 0, "device": "cpu", **METHODS[cls], **params}
    return cls(SIZES, **kw).fit(X)


def probe(Z, y, n_labels=5, n_draws=20):
    """Mean accuracy of a linear classifier on the embedding, over draws of few labels."""
    rng, scores = np.random.default_rng(0), []
    for _ in range(n_draws):
        labelled = np.concatenate(
            [rng.choice(np.flatnonzero(y == c), n_labels, replace=False) for c in np.unique(y)]
        )
        others = np.setdiff1d(np.arange(len(y)), labelled)
        # Not standardised: in which directions the embedding is long is part of it. One penalty
        # for all, which serves as well: tuning it in every draw would be most of this file's time.
        head = LinearHead(C=10.0).fit(Z[labelled], y[labelled])
        scores.append(head.score(Z[others], y[others]))
    return np.mean(scores)


@pytest.fixture(scope="module")
def random_encoder(data):
    """Accuracy on the same blocks of an encoder with random weights."""
    unlabelled, X, y = data
    est = UntrainedTransformer(SIZES, random_state=0, device="cpu").fit(unlabelled)
    est.encoder_.embedding = "all"
    return probe(est.transform(X), y)


@pytest.fixture(scope="module")
def components(data):
    """Accuracy on the principal components."""
    unlabelled, X, y = data
    est = pretrained(ScarfTransformer, unlabelled, max_epochs=1)
    return probe((X - est.mean_) / est.scale_ @ est.components_[:64].T, y)


@pytest.fixture(
    scope="module",
    params=[(cls, architecture) for cls in METHODS for architecture in MARGIN],
    ids=lambda how: f"{how[0].__name__}-{how[1]}",
)
def fitted(request, data):
    cls, architecture = request.param
    return pretrained(cls, data[0], architecture=architecture)


def test_pretraining_beats_what_it_starts_from_at_few_labels(
    fitted, data, random_encoder, components
):
    _, X, y = data
    start = {"mlp": random_encoder, "residual": components}[fitted.architecture]
    assert probe(fitted.transform(X), y) > start + MARGIN[fitted.architecture]


@pytest.mark.parametrize("cls", METHODS)
def test_chunk_by_chunk_it_learns_what_fit_learns(cls, data, random_encoder):
    unlabelled, X, y = data
    how = {"architecture": "mlp", "schedule": "constant"}
    whole = probe(pretrained(cls, unlabelled, **how).transform(X), y)
    est = cls(SIZES, random_state=0, device="cpu", **how, **METHODS[cls])
    for _ in range(40):
        for start in range(0, N_UNLABELLED, 200):
            est.partial_fit(unlabelled[start : start + 200])
    score = probe(est.transform(X), y)
    assert score > random_encoder + 0.2
    assert score > whole - NOISE


@architectures
@pytest.mark.parametrize("cls", METHODS)
def test_pretraining_on_gene_wise_permuted_data_gives_nothing(
    cls, architecture, data, random_encoder
):
    unlabelled, X, y = data
    # Every gene keeps its marginal, no two genes anything in common.
    permuted = np.random.default_rng(1).permuted(unlabelled, axis=0)
    est = pretrained(cls, permuted, architecture=architecture)
    assert probe(est.transform(X), y) < random_encoder + NOISE


def test_the_loss_falls(fitted):
    first, last = fitted.loss_curve_[0], fitted.loss_curve_[-1]
    fall = {ScarfTransformer: 0.2, VimeTransformer: 0.3, ByolTransformer: 0.8}[type(fitted)]
    assert last < first - fall


def test_the_embedding_does_not_collapse(fitted, data):
    spreads = [epoch["spread"] for epoch in fitted.history_]
    assert min(spreads) > 0.2
    assert max(spreads) <= 1
    singular = np.linalg.svd(fitted.transform(data[1]), compute_uv=False)
    assert (singular > 0.01 * singular[0]).sum() > 20


def test_the_history_tells_every_epoch(fitted):
    assert len(fitted.history_) == fitted.n_iter_ == 40
    assert [epoch["epoch"] for epoch in fitted.history_] == list(range(1, 41))
    assert {"epoch", "loss", "lr", "seconds", "spread"} == set(fitted.history_[0])
    assert fitted.loss_curve_ == [epoch["loss"] for epoch in fitted.history_]
    assert fitted.validation_loss_curve_ is None


@pytest.mark.parametrize("cls", [ScarfTransformer, VimeTransformer])
def test_early_stopping_stops_and_returns_to_the_best_epoch(cls, data):
    X = data[0][:200, :100]
    params = {"schedule": "constant", "lr": 1e-2, "validation_fraction": 0.2}
    kw = {**params, "max_epochs": 200}
    est = pretrained(cls, X, early_stopping=True, n_iter_no_change=5, **kw)
    curve = est.validation_loss_curve_
    best = int(np.argmin(curve))
    assert len(curve) == est.n_iter_ == best + 1 + 5 < 200
    assert curve[best] < curve[0]
    # The same run, ended by hand at that epoch.
    short = pretrained(cls, X, **{**kw, "max_epochs": best + 1})
    assert short.validation_loss_curve_ == curve[: best + 1]
    assert np.array_equal(short.transform(X), est.transform(X))


@pytest.mark.parametrize("cls", [ScarfTransformer, VimeTransformer])
@pytest.mark.parametrize("n", [6, 14])
def test_early_stopping_on_few_samples_still_has_something_to_compare(cls, n, data):
    est = pretrained(cls, data[0][:n], early_stopping=True, max_epochs=15)
    # A single held-out sample has no negatives: its contrastive loss is 0 whatever the encoder.
    assert min(est.validation_loss_curve_) > 0
    assert min(epoch["spread"] for epoch in est.history_) > 0


@architectures
@pytest.mark.parametrize("cls", METHODS)
def test_held_out_samples_are_not_trained_on(cls, architecture, data):
    X = data[0][:100, :100]
    params = {"max_epochs": 3, "validation_fraction": 0.2, "standardize": False}
    params["architecture"] = architecture
    one = pretrained(cls, X, **params)
    assert len(one.validation_loss_curve_) == 3
    assert np.isfinite(one.validation_loss_curve_).all()
    # The same run with other held-out samples: training neither sees them nor draws from them.
    held_out = np.setdiff1d(np.arange(100), _training_rows(one, X))
    assert len(held_out) == 20
    changed = X.copy()
    changed[held_out] += 1
    other = pretrained(cls, changed, **params)
    assert other.loss_curve_ == one.loss_curve_
    assert other.validation_loss_curve_ != one.validation_loss_curve_


def _training_rows(est, X):
    from sslgex._training.seeds import Seeds

    return est._split(len(X), Seeds(est.random_state))[0]
