"""What speed.py times: ours, plain PyTorch scripts, and the package ts3l.

Every function here prepares a contender and returns a function without arguments that does the
work once: a training step (draw a batch, corrupt it, update the weights), an epoch, a fit.
"""

import copy
import itertools
from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._training.engine import Engine
from sslgex._training.finetuning import FineTuning
from sslgex._training.rows import Rows
from sslgex._training.seeds import Seeds
from sslgex._training.sources import make_sources

METHODS = {"SCARF": ScarfTransformer, "VIME": VimeTransformer, "BYOL": ByolTransformer}
CPU = torch.device("cpu")
HIDDEN = 256
RATE = {"SCARF": 0.6, "VIME": 0.3, "BYOL": 0.5}


def ours(method: str, X: np.ndarray, batch_size: int, precision=torch.float32) -> Callable:
    """Return sslgex's step, the one that ``fit`` takes."""
    engine, batches = _engine(method, X, batch_size, precision)
    total = torch.zeros(())

    def step():
        engine.train_batch(next(batches), 1e-3, total)

    return step


def engine_epoch(X: np.ndarray, batch_size: int) -> Callable:
    """Return an epoch of SCARF in sslgex's training loop."""
    engine, _ = _engine("SCARF", X, batch_size)

    def epoch():
        engine.initialize_history()
        engine.fit_loop(None)

    return epoch


def epochs(method: str, rows: Rows, batch_size: int, precision, device, n: int) -> list[dict]:
    """Return the history of training with the study's settings, without the rest of `fit`."""
    seeds = Seeds(0)
    objective = _pretraining(method, rows.n_features, seeds, dropout=0.2)
    engine = _engine_of(objective, rows, batch_size, seeds, precision, device, n)
    with closing(engine.source):
        return engine.run()


def standardised(X: np.ndarray) -> Rows:
    """Return the rows of a matrix as `fit` has them."""
    statistics = Rows([X]).statistics()
    return Rows([X], statistics.mean, statistics.scale)


def bare_epoch(X: np.ndarray, batch_size: int) -> Callable:
    """Return the same steps in as few lines as they need."""
    engine, _ = _engine("SCARF", X, batch_size)

    def epoch():
        for views in engine.source:
            loss = engine.module_.loss(views)
            loss.backward()
            for optimizer in engine.optimizers_:
                optimizer.step()
                optimizer.zero_grad()

    return epoch


def tuning(X: np.ndarray, batch_size: int, *, anchor: float) -> Callable:
    """Return sslgex's step of unfrozen fine-tuning, held to its start or not."""
    module = _pretraining("SCARF", X.shape[1], Seeds(0)).encoder
    codes = np.arange(len(X)) % 5
    layer = nn.Linear(HIDDEN, 5)
    objective = FineTuning(
        module, layer, codes, np.ones(len(X)), penalty=0.0, batch_statistics=True, anchor=anchor
    )
    engine, batches = _trainer(objective, X, batch_size, Seeds(0), torch.float32)
    total = torch.zeros(())
    return lambda: engine.train_batch(next(batches), 1e-4, total)


def plain_tuning(X: np.ndarray, batch_size: int, *, fused: bool | None = None) -> Callable:
    """Return the same step in plain PyTorch, with Adam as torch chooses it or fused."""
    values, codes = _standardised(X), torch.arange(len(X)) % 5
    net = nn.Sequential(_mlp([X.shape[1], *[HIDDEN] * 4], last=True), nn.Linear(HIDDEN, 5))
    optimizer = torch.optim.Adam(net.parameters(), 1e-4, fused=fused)

    def step():
        rows = torch.randint(len(X), (batch_size,))
        loss = F.cross_entropy(net(values[rows]), codes[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def frozen_classifier(X: np.ndarray, n_epochs: int) -> Callable:
    """Return a fit of the study's frozen classifier."""
    encoder = ScarfTransformer.from_preset("dradjat2025-code", max_epochs=1).fit(X)
    y = np.arange(len(X)) % 5
    clf = SSLClassifier.from_preset("dradjat2025", encoder=encoder, mode="frozen")
    clf.set_params(max_epochs=n_epochs, early_stopping=False)
    return lambda: clf.fit(X, y)


def encode_every_step(X: np.ndarray, n_epochs: int) -> Callable:
    """Return the same training with every batch sent through the frozen encoder."""
    values, codes = _standardised(X), torch.arange(len(X)) % 5
    encoder = _mlp([X.shape[1], *[HIDDEN] * 4], last=True).eval().requires_grad_(False)

    def train():
        layer = nn.Linear(HIDDEN, 5)
        optimizer = torch.optim.Adam(layer.parameters(), 1e-4)
        for _ in range(n_epochs):
            for rows in torch.randperm(len(X)).split(8):
                loss = F.cross_entropy(layer(encoder(values[rows])), codes[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return train


def stock_forward(X: np.ndarray) -> dict[str, Callable]:
    """Return `transform`, and torch's forward of the same network over standardised values."""
    scarf = ScarfTransformer.from_preset("dradjat2025-code", max_epochs=1).fit(X[:256])
    mean, scale = (torch.from_numpy(a).float() for a in (scarf.mean_, scarf.scale_))
    net = _mlp([X.shape[1], *[HIDDEN] * 4], last=True).eval()

    @torch.no_grad()
    def stock():
        return net((torch.from_numpy(X) - mean) / scale)

    return {"ours": lambda: scarf.transform(X), "stock": stock}


def _pretraining(method: str, n_features: int, seeds: Seeds, dropout: float = 0.0):
    """Return the objective of the study's settings, by default without dropout."""
    estimator = METHODS[method].from_preset("dradjat2025-code", dropout=dropout)
    estimator.set_params(corruption_rate=RATE[method])
    estimator.n_features_in_ = n_features
    return estimator._make_objective(estimator._make_mlp(seeds), seeds.generator("heads"))


def _engine(method: str, X: np.ndarray, batch_size: int, precision=torch.float32) -> tuple:
    seeds = Seeds(0)
    return _trainer(_pretraining(method, X.shape[1], seeds), X, batch_size, seeds, precision)


def _trainer(objective, X: np.ndarray, batch_size: int, seeds: Seeds, precision) -> tuple:
    """Return the training loop and its endless batches."""
    engine = _engine_of(objective, standardised(X), batch_size, seeds, precision, CPU, 1)
    engine.initialize()
    engine.module_.start(1_000_000)
    engine.module_.train()
    return engine, itertools.chain.from_iterable(itertools.repeat(engine.source))


def _engine_of(
    objective, rows: Rows, batch_size: int, seeds: Seeds, precision, device: torch.device, n: int
) -> Engine:
    """Return the training loop of n epochs."""
    source, _ = make_sources(
        rows, np.arange(len(rows)), None, batch_size=batch_size, seeds=seeds, device=device
    )
    return Engine(
        objective,
        source=source,
        validation=None,
        lr=1e-3,
        weight_decay=0.0,
        schedule="constant",
        max_epochs=n,
        device=device,
        precision=precision,
        generator=seeds.generator("dropout", device),
        report=lambda epoch: False,
    )


def plain(method: str, X: np.ndarray, batch_size: int, precision=torch.float32) -> Callable:
    """Return the step of a script by somebody who knows PyTorch.

    The standardised matrix is a tensor, the batch and its donors are gathered by torch, the loss
    is a matrix product, Adam is fused.
    """
    values = _standardised(X)
    n, n_features = values.shape
    encoder = _mlp([n_features, *[HIDDEN] * 4], last=True)
    parts: dict[str, nn.Module] = {"encoder": encoder}
    if method == "SCARF":
        parts["head"] = nn.Sequential(
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN)
        )
    elif method == "VIME":
        for name in ("mask", "genes"):
            parts[name] = nn.Sequential(
                _mlp([HIDDEN] * 4, last=True), nn.Linear(HIDDEN, n_features)
            )
    else:
        parts["head"] = _mlp([HIDDEN, 4096, HIDDEN])
        parts["predictor"] = _mlp([HIDDEN, 4096, HIDDEN])
    net = nn.ModuleDict(parts)
    target = copy.deepcopy(net).requires_grad_(False) if method == "BYOL" else None
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def corrupt(x):
        mask = torch.rand_like(x) < RATE[method]
        donors = values.gather(0, torch.randint(n, x.shape))
        return torch.where(mask, donors, x), mask

    def loss():
        x = values[torch.randint(n, (batch_size,))]
        corrupted, mask = corrupt(x)
        if method == "VIME":
            h = net["encoder"](corrupted)
            return F.binary_cross_entropy_with_logits(
                net["mask"](h), mask.float()
            ) + 2 * F.mse_loss(net["genes"](h), x)
        if method == "SCARF":
            z = [F.normalize(net["head"](net["encoder"](v)), dim=1) for v in (x, corrupted)]
            both = torch.cat(z)
            logits = (both @ both.T).fill_diagonal_(-torch.inf)
            rows = torch.arange(batch_size)
            return F.cross_entropy(logits, torch.cat([rows + batch_size, rows]))
        ways = []
        for seen, hidden in ((x, corrupted), (corrupted, x)):
            with torch.no_grad():
                wanted = target["head"](target["encoder"](hidden))
            said = net["predictor"](net["head"](net["encoder"](seen)))
            ways.append(2 - 2 * F.cosine_similarity(said, wanted).mean())
        return sum(ways) / 2

    def step():
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if target is not None:
            with torch.no_grad():
                pairs = list(zip(target.parameters(), net.parameters(), strict=True))
                torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 0.01)

    return step


def _standardised(X: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((X - X.mean(axis=0)) / X.std(axis=0)).float()


def _mlp(sizes: list[int], *, last: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(a, b))
        if last or i < len(sizes) - 2:
            layers += [nn.BatchNorm1d(b), nn.ReLU()]
    return nn.Sequential(*layers)


def ts3l(method: str, X: np.ndarray, batch_size: int) -> Callable:
    """Return the step of the package ts3l: its data set, its modules, its loss, AdamW."""
    import pandas as pd
    from torch.utils.data import DataLoader
    from ts3l import functional
    from ts3l.models import SCARF, VIME
    from ts3l.models.scarf import NTXentLoss
    from ts3l.utils.backbone_utils import MLPBackboneConfig
    from ts3l.utils.embedding_utils import IdentityEmbeddingConfig
    from ts3l.utils.scarf_utils import SCARFConfig, SCARFDataset
    from ts3l.utils.vime_utils import VIMEConfig, VIMEDataset

    n_features = X.shape[1]
    frame = pd.DataFrame((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    columns = list(frame.columns)
    shared = {
        "task": "classification",
        "loss_fn": "CrossEntropyLoss",
        "metric": "accuracy_score",
        "output_dim": 2,
        "embedding_config": IdentityEmbeddingConfig(input_dim=n_features),
        "backbone_config": MLPBackboneConfig(
            input_dim=n_features, hidden_dims=[HIDDEN] * 3, output_dim=HIDDEN
        ),
    }
    if method == "SCARF":
        config = SCARFConfig(
            **shared, pretraining_head_dim=HIDDEN, corruption_rate=RATE[method], tau=1.0
        )
        data = SCARFDataset(frame, config=config, continuous_cols=columns, category_cols=[])
        net, criterion = SCARF(**vars(config)), NTXentLoss(1.0)
    else:
        config = VIMEConfig(
            **shared, num_continuous=n_features, cat_cardinality=[], predictor_dim=HIDDEN,
            p_m=RATE[method],
        )  # fmt: skip
        data = VIMEDataset(frame, config=config, continuous_cols=columns, category_cols=[])
        net = VIME(**vars(config))
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    loader = DataLoader(data, batch_size, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def step():
        batch = next(batches)
        if method == "SCARF":
            loss = functional.scarf.first_phase_loss(
                *functional.scarf.first_phase_step(net, batch), criterion
            )
        else:
            mask, _, genes = functional.vime.first_phase_step(net, batch)
            loss = F.binary_cross_entropy(mask, batch[1]) + F.mse_loss(genes, batch[2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
