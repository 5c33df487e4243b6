"""The losses are what the papers say: each against an implementation in plain numpy."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._nn.encoder import MLPEncoder
from sslgex._nn.init import linear
from sslgex._nn.losses import cosine_loss, info_nce, spread
from sslgex._nn.momentum import cosine_decay
from sslgex._training.engine import Engine
from sslgex._training.finetuning import FineTuning
from sslgex._training.rows import Rows
from sslgex._training.schedule import one_cycle
from sslgex._training.stopping import EarlyStopping
from sslgex._training.views import MemorySource
from sslgex.byol import ByolObjective
from sslgex.scarf import ScarfObjective
from sslgex.vime import VimeObjective

B, N = 12, 9
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two threads only wait for each other in networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class FixedViews:
    """Views whose corruption is given, not drawn; remembers how it was asked for."""

    def __init__(self, clean, corrupted, mask=None):
        self.clean, self._corrupted = torch.tensor(clean), torch.tensor(corrupted)
        self._mask = self.clean != self._corrupted if mask is None else torch.tensor(mask)
        self.index = np.arange(len(clean))
        self.asked = []

    def corrupted(self, rate, *, exact=False):
        self.asked.append((rate, exact))
        return self._corrupted, self._mask


def data(seed=0, n=B, n_genes=N):
    return np.random.default_rng(seed).normal(size=(n, n_genes)).astype(np.float32)


def views(seed=0):
    """A clean view and one with a third of its entries replaced."""
    clean = data(seed)
    replaced = np.random.default_rng(seed + 1).random(clean.shape) < 0.3
    return FixedViews(clean, np.where(replaced, data(seed + 2), clean))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_affine(module):
    """Give BatchNorm an affine map that is not the identity."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator(1))
            nn.init.uniform_(part.bias, -0.5, 0.5, generator=generator(2))
    return module


def encoder(n_genes=N, sizes=(7, 5)):
    kw = {"embedding": "all", "dropout": 0.0}
    return random_affine(MLPEncoder(n_genes, sizes, generator=generator(), **kw))


def scarf(symmetric=True, temperature=0.5):
    kw = {"corruption_rate": 0.4, "temperature": temperature, "symmetric": symmetric}
    return ScarfObjective(encoder(), (6, 4), generator=generator(), **kw)


def vime(alpha=2.0, decoder_sizes=(6,)):
    kw = {"corruption_rate": 0.3, "alpha": alpha, "generator": generator()}
    return random_affine(VimeObjective(encoder(), decoder_sizes, N, **kw))


def byol(symmetric=True, ema_decay=0.9, ema_schedule="constant"):
    kw = {"corruption_rate": 0.3, "symmetric": symmetric, "generator": generator()}
    kw |= {"ema_decay": ema_decay, "ema_schedule": ema_schedule}
    objective = random_affine(ByolObjective(encoder(), (8, 4), (6, 4), **kw))
    objective.start(10)
    return objective


def engine(objective, *, validation=True, lr=1e-3, max_epochs=3, callbacks=(), n=40):
    rows = Rows([data(3, n)])
    kw = {"batch_size": 10, "device": CPU}
    train, held_out = np.arange(n // 2), np.arange(n // 2, n)
    source = MemorySource(rows, train, seed=4, **kw)
    held_out = MemorySource(rows, train, seed=5, held_out=held_out, **kw)
    return Engine(
        objective,
        source=source,
        validation=held_out if validation else None,
        lr=lr,
        weight_decay=0.0,
        schedule="constant",
        max_epochs=max_epochs,
        device=CPU,
        precision=torch.float32,
        generator=generator(6),
        report=lambda epoch: False,
        callbacks=list(callbacks),
    )


# ------------------------------------------------------------------- naive implementations


def run(modules, h):
    """Layers in training mode, in float64."""
    for module in modules:
        if isinstance(module, nn.Linear):
            h = h @ module.weight.detach().double().numpy().T
            h = h if module.bias is None else h + module.bias.detach().double().numpy()
        elif isinstance(module, nn.BatchNorm1d):
            h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + module.eps)
            h = h * module.weight.detach().double().numpy() + module.bias.detach().double().numpy()
        else:
            h = np.maximum(h, 0)
    return h


def run_encoder(encoder, x):
    linears = [encoder.input.linear, *encoder.linears]
    blocks = [(a, norm, nn.ReLU()) for a, norm in zip(linears, encoder.norms, strict=True)]
    return run([module for block in blocks for module in block], np.asarray(x, dtype=np.float64))


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def naive_info_nce(z, z_corrupted, tau):
    losses = []
    for i in range(len(z)):
        terms = [np.exp(cosine(z[i], other) / tau) for other in z_corrupted]
        losses.append(-np.log(terms[i] / sum(terms)))
    return np.mean(losses)


def naive_nt_xent(z, z_corrupted, tau):
    both, n = [*z, *z_corrupted], len(z)
    losses = []
    for i in range(2 * n):
        others = [k for k in range(2 * n) if k != i]
        assert len(others) == 2 * n - 1
        terms = {k: np.exp(cosine(both[i], both[k]) / tau) for k in others}
        losses.append(-np.log(terms[(i + n) % (2 * n)] / sum(terms.values())))
    return np.mean(losses)


def naive_bce(logits, target):
    p = 1 / (1 + np.exp(-logits))
    return -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))


NAIVE = {False: naive_info_nce, True: naive_nt_xent}


# -------------------------------------------------------------------------- contrastive loss


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_is_the_papers_formula(symmetric, temperature):
    z, z_corrupted = data(0, 6, 4), data(1, 6, 4)
    loss = info_nce(*map(torch.tensor, (z, z_corrupted)), temperature, symmetric=symmetric)
    assert float(loss) == pytest.approx(NAIVE[symmetric](z, z_corrupted, temperature), rel=1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_info_nce_does_not_depend_on_the_order_of_the_batch(symmetric):
    z, z_corrupted = torch.tensor(data(0, 20)), torch.tensor(data(1, 20))
    order = torch.randperm(20, generator=generator())
    loss = info_nce(z, z_corrupted, 0.5, symmetric=symmetric)
    permuted = info_nce(z[order], z_corrupted[order], 0.5, symmetric=symmetric)
    assert float(permuted) == pytest.approx(float(loss), rel=1e-5)
    # Pairs, though, matter.
    assert abs(float(info_nce(z, z_corrupted[order], 0.5, symmetric=symmetric) - loss)) > 1e-3


def test_nt_xent_of_256_pairs_moves_between_5_24_and_6_24_at_temperature_1():
    collapsed = torch.ones(256, 8)
    solved = torch.eye(256)
    high = float(info_nce(collapsed, collapsed, 1.0, symmetric=True))
    low = float(info_nce(solved, solved, 1.0, symmetric=True))
    assert round(high, 2) == 6.24
    assert round(low, 2) == 5.24
    assert high == pytest.approx(np.log(511), rel=1e-6)
    z, noise = (torch.tensor(data(s, 256, 256)) for s in (0, 1))
    assert low < float(info_nce(z, z + noise, 1.0, symmetric=True)) < high


@pytest.mark.parametrize("symmetric", [False, True])
def test_info_nce_makes_no_tensor_larger_than_the_table_of_similarities(symmetric):
    largest = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            largest.extend(t.numel() for t in (out,) if isinstance(t, torch.Tensor))
            return out

    z, z_corrupted = (torch.tensor(data(s, 64, 48), requires_grad=True) for s in (0, 1))
    with Watch():
        info_nce(z, z_corrupted, 1.0, symmetric=symmetric).backward()
    assert z.grad is not None
    assert max(largest) == (128 if symmetric else 64) ** 2


@pytest.mark.parametrize("symmetric", [False, True])
def test_scarf_contrasts_clean_with_corrupted_projections(symmetric):
    objective, batch = scarf(symmetric, 0.5).train(), views()
    z, z_corrupted = (
        run(objective.projector, run_encoder(objective.encoder, x))
        for x in (batch.clean, batch.corrupted(0)[0])
    )
    batch.asked.clear()
    expected = NAIVE[symmetric](z, z_corrupted, 0.5)
    assert objective.loss(batch).item() == pytest.approx(expected, rel=1e-4)
    assert batch.asked == [(0.4, True)]  # an exact number of genes


def test_scarf_normalises_the_two_views_separately():
    batch, objective = views(), scarf().train()
    apart = objective.encoder.represent([batch.clean, batch.corrupted(0)[0]])
    together = run_encoder(objective.encoder, torch.cat([batch.clean, batch.corrupted(0)[0]]))
    alone = run_encoder(objective.encoder, batch.clean)
    np.testing.assert_allclose(apart[0].detach(), alone, atol=1e-5)
    assert np.abs(together[:B] - alone).max() > 1e-2


# ----------------------------------------------------------------------------------- VIME


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize("decoder_sizes", [(), (6,), (6, 5)])
def test_vime_is_bce_of_the_mask_plus_alpha_mse_of_the_genes(alpha, decoder_sizes):
    objective, batch = vime(alpha, decoder_sizes).train(), views()
    h = run_encoder(objective.encoder, batch.corrupted(0)[0])
    batch.asked.clear()
    logits, features = (
        run([*decoder.body, decoder.output.linear], h)
        for decoder in (objective.mask_decoder, objective.feature_decoder)
    )
    clean = batch.clean.double().numpy()
    target = (batch._corrupted != batch.clean).double().numpy()
    expected = naive_bce(logits, target) + alpha * np.mean((features - clean) ** 2)
    assert objective.loss(batch).item() == pytest.approx(expected, rel=1e-4)
    assert batch.asked == [(0.3, False)]  # each gene with that probability


def test_vime_asks_for_no_gene_whose_donor_had_the_same_value():
    batch = views()
    honest = vime().train().loss(batch).item()
    # Every entry was drawn, most happened to draw their own value.
    drawn = FixedViews(batch.clean.numpy(), batch._corrupted.numpy(), mask=np.ones((B, N), bool))
    assert vime().train().loss(drawn).item() == honest


def test_vime_has_a_finite_gradient_with_a_constant_gene():
    clean = data()
    clean[:, 3] = 5.0
    objective = vime().train()
    loss = objective.loss(FixedViews(clean, np.roll(clean, 1, axis=0)))
    loss.backward()
    assert loss.item() < 100
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters())


# ----------------------------------------------------------------------------------- BYOL


def test_cosine_loss_is_2_minus_2_cosines():
    q, z = data(0, 6, 4), data(1, 6, 4)
    expected = np.mean([2 - 2 * cosine(a, b) for a, b in zip(q, z, strict=True)])
    assert float(cosine_loss(torch.tensor(q), torch.tensor(z))) == pytest.approx(expected, rel=1e-5)
    assert float(cosine_loss(torch.tensor(q), torch.tensor(3 * q))) == pytest.approx(0, abs=1e-6)
    assert float(cosine_loss(torch.tensor(q), torch.tensor(-q))) == pytest.approx(4, rel=1e-6)


def one_way(objective, seen, predicted):
    q = run(objective.predictor, run(objective.projector, run_encoder(objective.encoder, seen)))
    target = run_encoder(objective.target_encoder, predicted)
    target = run(objective.target_projector, target)
    return np.mean([2 - 2 * cosine(a, b) for a, b in zip(q, target, strict=True)])


@pytest.mark.parametrize("symmetric", [False, True])
def test_byol_predicts_the_targets_projection_of_the_other_view(symmetric):
    objective, batch = byol(symmetric).train(), views()
    with torch.no_grad():  # a target that has fallen behind
        for parameter in objective.target_encoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator(7)))
    clean, corrupted = batch.clean, batch._corrupted
    expected = one_way(objective, clean, corrupted)
    if symmetric:
        expected = (expected + one_way(objective, corrupted, clean)) / 2
    assert objective.loss(batch).item() == pytest.approx(expected, rel=1e-4)


def targets(objective):
    return [objective.target_encoder, objective.target_projector]


def state(modules):
    return [copy.deepcopy(module.state_dict()) for module in modules]


def same(one, other):
    return all(torch.equal(a[k], b[k]) for a, b in zip(one, other, strict=True) for k in a)


def test_byols_target_starts_as_a_copy_and_gets_no_gradient():
    objective = byol().train()
    assert same(state(targets(objective)), state([objective.encoder, objective.projector]))
    objective.loss(views()).backward()
    for module in targets(objective):
        assert not any(p.requires_grad or p.grad is not None for p in module.parameters())
    for module in (objective.encoder, objective.projector, objective.predictor):
        assert all(p.grad.abs().sum() > 0 for p in module.parameters() if p.dim() > 1)


@pytest.mark.parametrize("decay", [0.9, 0.996])
def test_byols_target_follows_the_moving_average_to_float_precision(decay):
    objective = byol(ema_decay=decay)
    with torch.no_grad():
        for parameter in objective.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator(8)))
    before, online = state(targets(objective)), state([objective.encoder, objective.projector])
    objective.after_step()
    for old, theta, new in zip(before, online, state(targets(objective)), strict=True):
        names = [name for name in old if name.endswith(("weight", "bias"))]
        assert names
        for name in names:
            expected = decay * old[name].double() + (1 - decay) * theta[name].double()
            torch.testing.assert_close(new[name].double(), expected, rtol=1e-6, atol=1e-7)


def test_byols_target_keeps_batchnorm_statistics_of_its_own_batches():
    objective, batch = byol(symmetric=False).train(), views()
    norm = objective.target_encoder.norms[0]
    hidden = batch._corrupted @ objective.target_encoder.input.linear.weight.T
    objective.loss(batch)
    expected = 0.1 * hidden.mean(dim=0)  # momentum 0.1 from 0, by the view that it saw
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-6)
    before = norm.running_mean.clone()
    objective.after_step()  # moves weights, not statistics
    assert torch.equal(norm.running_mean, before)
    assert not torch.equal(norm.running_mean, objective.encoder.norms[0].running_mean)


def test_byols_target_moves_once_per_training_step_and_never_in_evaluation():
    calls = []

    class Counting(ByolObjective):
        def after_step(self):
            assert self.training
            calls.append(1)
            super().after_step()

    objective = byol()
    objective.__class__ = Counting
    loop = engine(objective, max_epochs=3)
    start = state(targets(objective))
    loop.run()
    assert len(calls) == 3 * 2  # 20 training rows in batches of 10
    assert not same(start, state(targets(objective)))
    before = state([objective])
    loop.validate()
    assert len(calls) == 6
    assert same(before, state([objective]))


def test_cosine_decay_rises_from_its_start_to_1():
    decays = [cosine_decay(0.996, k, 50) for k in range(51)]
    assert decays[0] == pytest.approx(0.996)
    assert decays[25] == pytest.approx(0.998)
    assert decays[50] == 1
    assert np.all(np.diff(decays) > 0)


def test_byol_applies_the_cosine_schedule_step_by_step():
    objective = byol(ema_decay=0.9, ema_schedule="cosine")
    moved = []
    for _ in range(10):
        with torch.no_grad():
            objective.encoder.input.linear.weight.fill_(1)
            objective.target_encoder.input.linear.weight.fill_(0)
        objective.after_step()
        moved.append(float(objective.target_encoder.input.linear.weight[0, 0]))
    expected = [0.1 * (np.cos(np.pi * k / 10) + 1) / 2 for k in range(10)]
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


# --------------------------------------------------------------- gauge, fine-tuning, schedule


def test_spread_is_0_for_one_direction_and_1_for_opposite_ones():
    one = torch.ones(8, 3) * torch.arange(1, 9)[:, None]
    assert float(spread(one)) == pytest.approx(0, abs=1e-6)
    assert float(spread(torch.cat([one, -one]))) == pytest.approx(1, rel=1e-5)


def test_fine_tuning_loss_is_weighted_cross_entropy_of_one_softmax():
    x, codes = data(0, 6, 4), np.array([0, 2, 1, 2, 0, 1])
    weight = np.array([1.0, 2, 3, 1, 1, 4])
    head = linear(4, 3, generator())
    objective = FineTuning(
        nn.Identity(), head, codes, weight, penalty=0.3, batch_statistics=False
    ).train()
    w, b = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    losses = []
    for row, code, size in zip(x, codes, weight / weight.mean(), strict=True):
        p = np.exp(w @ row + b) / np.exp(w @ row + b).sum()
        losses.append(-size * np.log(p[code]))
    expected = np.mean(losses) + 0.3 * (w**2).sum()
    assert objective.loss(FixedViews(x, x)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [scarf, vime])
def test_early_stopping_puts_the_best_weights_back(make):
    loop = engine(make(), lr=0.1, max_epochs=40, callbacks=[EarlyStopping(patience=4, tol=0.0)])
    curve = [epoch["validation_loss"] for epoch in loop.run()]
    best = int(np.argmin(curve))
    assert 0 < best < len(curve) - 1
    assert len(curve) == best + 1 + 4
    assert loop.validate() == pytest.approx(curve[best], rel=1e-6)


def test_one_cycle_warms_up_over_a_tenth_and_ends_low():
    factors = [one_cycle(k, 1000) for k in range(1000)]
    assert factors[0] == pytest.approx(1 / 25, rel=0.01)
    assert int(np.argmax(factors)) == pytest.approx(100, abs=1)
    assert max(factors) == pytest.approx(1, rel=1e-4)
    assert 0 <= factors[-1] < 0.01


@pytest.mark.parametrize("cls", [ScarfTransformer, VimeTransformer, ByolTransformer])
def test_a_training_of_one_step_moves_the_weights(cls):
    X = data(0, 20)
    kw = {"hidden_layer_sizes": (4,), "random_state": 0, "device": "cpu"}
    one = cls(max_epochs=1, **kw).fit(X).encoder_.input.linear.weight
    none = cls(max_epochs=1, **kw, lr=1e-30).fit(X).encoder_.input.linear.weight
    assert (one - none).abs().max() > 1e-5


# -------------------------------------------------------------------------------- presets

STUDY = {
    "hidden_layer_sizes": (256, 256, 256, 256),
    "corruption_rate": 0.3,
    "embedding": "last",
    "dropout": 0.0,
    "lr": 1e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "validation_fraction": 0.1,
    "early_stopping": False,
}
SCARF = {"temperature": 1.0, "symmetric": False, "projection_sizes": (256, 256)}
SCARF |= {"batch_size": 256, "max_epochs": 1000}
VIME = {"alpha": 2.0, "decoder_sizes": (256,) * 4, "batch_size": 16, "max_epochs": 1000}
BYOL = {"ema_decay": 0.9, "ema_schedule": "constant", "symmetric": False, "batch_size": 32}
BYOL |= {"projection_sizes": (4096, 256), "prediction_sizes": (4096, 256), "max_epochs": 200}
SCRIPTS = {"dropout": 0.2}
PRESETS = [
    (ScarfTransformer, "dradjat2025", STUDY | SCARF),
    (ScarfTransformer, "dradjat2025-code", STUDY | SCARF | SCRIPTS | {"symmetric": True}),
    (ScarfTransformer, "bahri2022", {"corruption_rate": 0.6, "temperature": 1.0, "lr": 1e-3}),
    (VimeTransformer, "dradjat2025", STUDY | VIME),
    (VimeTransformer, "dradjat2025-code", STUDY | VIME | SCRIPTS),
    (VimeTransformer, "yoon2020", {"corruption_rate": 0.3, "alpha": 2.0}),
    (ByolTransformer, "dradjat2025", STUDY | BYOL),
    (ByolTransformer, "dradjat2025-code", STUDY | BYOL | SCRIPTS | {"symmetric": True}),
    (ByolTransformer, "grill2020", {"ema_decay": 0.996, "ema_schedule": "cosine"}),
]


@pytest.mark.parametrize(("cls", "name", "expected"), PRESETS)
def test_presets_hold_the_published_values(cls, name, expected):
    params = cls.from_preset(name).get_params()
    assert {key: params[key] for key in expected} == expected


@pytest.mark.parametrize(("cls", "name", "expected"), PRESETS)
def test_presets_fit_and_take_overrides(cls, name, expected):
    est = cls.from_preset(name, hidden_layer_sizes=(8,), max_epochs=1, random_state=0)
    est.set_params(device="cpu")
    assert est.max_epochs == 1
    assert np.isfinite(est.fit_transform(data(0, 30))).all()


@pytest.mark.parametrize("name", ["dradjat2025", "dradjat2025-code"])
def test_the_studys_fine_tuning_is_the_same_with_and_without_pretraining(name):
    expected = {"head": "sgd", "batch_size": 8, "max_epochs": 100, "early_stopping": True}
    expected |= {"n_iter_no_change": 30, "class_weight": None, "mode": "unfrozen"}
    baseline = SSLClassifier.from_preset(name).get_params()
    assert {key: baseline[key] for key in expected} == expected
    pretrained = SSLClassifier.from_preset(name, encoder=ScarfTransformer()).get_params(deep=False)
    differ = {key for key, value in pretrained.items() if baseline[key] != value}
    assert differ == {"encoder"}
