"""The residual encoder: it starts as principal components and departs slowly."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA

import sslgex
from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._nn.residual import STEM_RATE, ResidualEncoder
from sslgex.datasets import make_expression

HOW = {"architecture": "residual", "batch_size": 64, "max_epochs": 3, "random_state": 0}
METHODS = [
    ScarfTransformer((32, 32), projection_sizes=(16,), **HOW),
    VimeTransformer((32, 32), decoder_sizes=(16,), **HOW),
    ByolTransformer((32, 32), projection_sizes=(32, 16), prediction_sizes=(32, 16), **HOW),
]
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)


@pytest.fixture(scope="module")
def data():
    return make_expression(n_samples=300, n_genes=200, n_classes=4, return_X_y=True, random_state=0)


def generator():
    return torch.Generator().manual_seed(0)


def encoder(dropout=0.0):
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 5)))[0].T.astype(np.float32)
    return axes, ResidualEncoder(axes, 2.0, (7, 6), dropout=dropout, generator=generator())


def test_untrained_it_is_the_components():
    axes, net = encoder()
    x = torch.randn(9, 20, generator=generator())
    np.testing.assert_allclose(net(x).detach(), x.numpy() @ axes.T / 2.0, rtol=1e-5, atol=1e-6)
    assert net.n_embedding == net.n_representation == 5


def test_a_block_is_what_the_docstring_says():
    _, net = encoder()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, generator=generator())
    h = net.input([torch.randn(9, 20, generator=generator())])[0]
    net.reestimate(h)
    expected = h
    for i in range(2):
        before = (expected - expected.mean(0)) / (expected.var(0, correction=0) + 1e-5).sqrt()
        before = before * net.norms[2 * i].weight + net.norms[2 * i].bias
        hidden = torch.relu(before @ net.inward[i].weight.T)
        hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()
        hidden = hidden * net.norms[2 * i + 1].weight + net.norms[2 * i + 1].bias
        expected = expected + hidden @ net.outward[i].weight.T + net.outward[i].bias
    np.testing.assert_allclose(net.embed(h).detach(), expected.detach(), rtol=1e-3, atol=1e-3)


def test_dropout_is_of_training_only():
    _, net = encoder(dropout=0.5)
    torch.nn.init.normal_(net.outward[0].weight, generator=generator())
    x = torch.randn(9, 20, generator=generator())
    net.eval()
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


@each_method
def test_the_stem_learns_at_a_tenth_of_the_rate(method, data):
    # AdamW's first step is as long as the learning rate, whatever the gradient.
    X, _ = data
    fitted = clone(method).set_params(
        max_epochs=1, batch_size=300, schedule="constant", weight_decay=0.0
    )
    fitted.fit(X)
    start = fitted.components_[:64]
    seen = fitted.encoder_.input.linear.weight.detach().numpy()
    scale = np.linalg.norm(start, axis=1).mean() / np.linalg.norm(seen, axis=1).mean()
    moved = np.abs(seen - start / scale)
    np.testing.assert_allclose(np.median(moved), STEM_RATE * fitted.lr, rtol=0.3)


@each_method
def test_it_departs_from_the_components_but_not_far(method, data):
    X, _ = data
    fitted = clone(method).fit(X)
    Z = fitted.transform(X)
    assert Z.shape == (300, 64)
    P = PCA(64, random_state=0).fit_transform((X - fitted.mean_) / fitted.scale_)
    likeness = [abs(np.corrcoef(Z[:, i], P[:, i])[0, 1]) for i in range(3)]
    assert 0.9 < min(likeness) < 0.999999


def test_few_samples_have_few_components(data):
    X, _ = data
    assert clone(METHODS[0]).fit(X[:12]).transform(X).shape == (300, 11)


def test_it_is_saved_and_loaded_and_unfrozen(data, tmp_path):
    X, y = data
    pretrained = clone(METHODS[0]).fit(X)
    clf = SSLClassifier(pretrained, max_epochs=2, early_stopping=False, random_state=0)
    clf.fit(X[:60], y[:60])
    sslgex.save(clf, tmp_path / "clf.safetensors")
    loaded = sslgex.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(loaded.encoder.transform(X), pretrained.transform(X))
    assert not np.array_equal(clf.transform(X), pretrained.transform(X))
