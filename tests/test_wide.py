"""The wide layers' own updates are those of autograd and torch's Adam."""

import copy

import pytest
import torch
from torch import nn

from sslgex._nn import wide
from sslgex._nn.update import adamw
from sslgex._nn.wide import WideInput, WideOutput, squared_distance

N, H, B = 70, 6, 9


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(wide, "BLOCK", 32)  # 70 genes are two blocks and a rest


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def train(layer, loss, n_steps, own):
    """Return the losses and final weights of training with the layer's optimiser or torch's."""
    how = {"lr": 0.01, "weight_decay": 0.01}
    layer = copy.deepcopy(layer)
    optimizer = layer.optimizer(**how) if own else adamw(list(layer.parameters()), **how)
    losses = []
    for step in range(n_steps):
        value = loss(layer, step)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses), [p.detach() for p in layer.parameters()]


def same(layer, loss):
    plain, fast = (train(layer, loss, 20, own) for own in (False, True))
    torch.testing.assert_close(fast[0], plain[0], rtol=1e-5, atol=0)
    for one, other in zip(plain[1], fast[1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_views", [1, 2, 3])
def test_the_input(n_views):
    views = torch.randn(20, n_views, B, N, generator=generator())
    weight = torch.randn(n_views, B, H, generator=generator(1))

    def loss(layer, step):
        seen = layer(list(views[step]))
        return sum((torch.tanh(h) * w).sum() for h, w in zip(seen, weight, strict=True))

    same(WideInput(N, H, generator()), loss)


def test_another_term_of_the_loss_counts_too():
    views = torch.randn(20, B, N, generator=generator())

    def loss(layer, step):
        (h,) = layer([views[step]])
        return h.square().mean() + layer.linear.weight.square().sum()

    same(WideInput(N, H, generator()), loss)


def test_a_pull_to_where_it_started():
    views = torch.randn(20, B, N, generator=generator())
    start = WideInput(N, H, generator(1))

    def loss(layer, step):
        (h,) = layer([views[step]])
        return h.square().mean() + 0.3 * squared_distance(layer, start)

    same(WideInput(N, H, generator()), loss)


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_output(kind):
    hidden = torch.randn(20, B, H, generator=generator())
    target = torch.randn(20, B, N, generator=generator(1))
    target = target > 0 if kind == "bce" else target

    def loss(layer, step):
        return 2.5 * layer(hidden[step], target[step], kind)

    same(WideOutput(H, N, generator()), loss)


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_gradient_of_the_hidden_layer(kind):
    hidden = torch.randn(B, H, generator=generator())
    target = torch.randn(B, N, generator=generator(1))
    target = target > 0 if kind == "bce" else target
    layer, found = WideOutput(H, N, generator()), []
    for deferred in (None, []):
        layer.deferred = deferred
        leaf = hidden.clone().requires_grad_()
        (3 * layer(leaf, target, kind)).backward()
        found.append(leaf.grad)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_loss_without_gradient(kind):
    layer, hidden = WideOutput(H, N, generator()), torch.randn(B, H, generator=generator())
    target = torch.randn(B, N, generator=generator(1))
    target = target > 0 if kind == "bce" else target
    known = layer(hidden, target, kind)
    with torch.no_grad():
        torch.testing.assert_close(layer(hidden, target, kind), known.detach(), rtol=1e-5, atol=0)


def test_no_gradient_outlives_the_step():
    layer = WideOutput(H, N, generator())
    optimizer = layer.optimizer(lr=1e-3, weight_decay=0.0)
    hidden = torch.randn(B, H, generator=generator())
    layer(hidden, torch.randn(B, N, generator=generator(1)), "mse").backward()
    optimizer.step()
    assert all(w.grad is None for group in optimizer.param_groups for w in group["params"])


def test_a_copy_made_in_training_is_a_plain_layer():
    layer = WideInput(N, H, generator())
    layer.optimizer(lr=1e-3, weight_decay=0.0)
    taken = copy.deepcopy(layer)
    taken([torch.randn(B, N)])[0].sum().backward()
    assert layer.deferred == []
    assert taken.linear.weight.grad is not None


def test_outside_of_training_they_are_plain_layers():
    layer = WideInput(N, H, generator())
    layer([torch.randn(B, N)])[0].sum().backward()
    assert layer.linear.weight.grad is not None


def test_a_block_of_genes_is_contiguous_and_shares_the_memory():
    layer = WideInput(N, H, generator())
    assert layer.linear.weight.shape == (H, N)
    for (block,) in layer.blocks([layer.linear.weight.detach()]):
        assert block.is_contiguous()
        block.fill_(7)
    assert (layer.linear.weight == 7).all()
    again = nn.Linear(N, H, bias=False)
    again.load_state_dict(layer.linear.state_dict())
    assert (again.weight == 7).all()


def test_weights_that_lie_otherwise_are_updated_all_the_same():
    views = torch.randn(20, B, N, generator=generator())

    def loss(layer, step):
        return layer([views[step]])[0].square().mean()

    plain, otherwise = WideInput(N, H, generator()), WideInput(N, H, generator())
    otherwise.linear.weight = nn.Parameter(plain.linear.weight.detach().clone().contiguous())
    (first, one), (second, other) = (train(layer, loss, 20, True) for layer in (plain, otherwise))
    torch.testing.assert_close(first, second, rtol=1e-5, atol=0)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
