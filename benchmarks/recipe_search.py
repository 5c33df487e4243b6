"""What was tried for the recipe: on development splits, where choosing is allowed.

    python benchmarks/recipe_search.py

Two splits of the four sets on which the defaults were chosen, four draws of labels; the claims are
from other splits of the same samples, those of ``recipe.py``. Every encoder
is judged by logistic regression on its embedding against that on as many principal components, and
by what it adds to the linear pool with its propagated expert.
"""

import copy
import warnings
from pathlib import Path
from unittest import mock

import frozen_splits
import numpy as np
import pandas as pd
import panel_data
import torch
from frozen_splits import DEVELOPMENT_SEED, measure
from recipe import some, unlabelled
from recipe_claims import by_size, cells
from scipy.special import softmax
from threadpoolctl import threadpool_limits
from torch.nn import functional as F

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer
from sslgex._head import LinearHead, inner_folds
from sslgex._linear_path import LinearPath
from sslgex._nn.encoder import Encoder
from sslgex._nn.heads import mlp
from sslgex._pooled import PooledHead
from sslgex._propagation import Neighbourhoods
from sslgex._training.objective import Objective

N_SPLITS = 2
SETS = list(panel_data.NAMES)[:4]


class VicregObjective(Objective):
    """Invariance, variance and covariance of two corrupted views (Bardes et al. 2022)."""

    def __init__(self, encoder: Encoder, corruption_rate: float, generator: torch.Generator):
        super().__init__(encoder)
        self.projector = mlp(encoder.n_representation, (512, 256), generator, batch_norm=True)
        self.corruption_rate = corruption_rate

    def loss(self, views):
        one, two = (views.corrupted(self.corruption_rate)[0] for _ in range(2))
        seen = self.represent([views.clean, one, two])[1:]
        a, b = (self.projector(h) for h in seen)
        spread = sum(F.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean() for z in (a, b)) / 2
        ties = sum(_off_diagonal(z).square().sum() / z.shape[1] for z in (a, b))
        return 25 * F.mse_loss(a, b) + 25 * spread + ties


def _off_diagonal(z: torch.Tensor) -> torch.Tensor:
    z = z - z.mean(dim=0)
    covariance = z.T @ z / (len(z) - 1)
    return covariance - torch.diag(torch.diag(covariance))


class VicregTransformer(ByolTransformer):
    """Pretrain with VICReg's loss in BYOL's place."""

    def _make_objective(self, encoder, generator):
        return VicregObjective(encoder, self.corruption_rate, generator)


STEM = "sslgex._nn.residual.STEM_RATE"
# name: (estimator, rate of the stem or None for the default)
ENCODERS = {
    "BYOL": (ByolTransformer(), None),
    "SCARF": (ScarfTransformer(), None),
    "VIME": (VimeTransformer(), None),
    "BYOL, corruption 0.5": (ByolTransformer(corruption_rate=0.5), None),
    "BYOL, corruption 0.9": (ByolTransformer(corruption_rate=0.9), None),
    "BYOL, EMA 0.97": (ByolTransformer(ema_decay=0.97), None),
    "BYOL, one block": (ByolTransformer((256,)), None),
    "BYOL, blocks of 1,024": (ByolTransformer((1024,) * 3), None),
    "BYOL, stem fixed": (ByolTransformer(), 0.0),
    "BYOL, stem at full rate": (ByolTransformer(), 1.0),
    "BYOL, MLP": (ByolTransformer((256,) * 4, architecture="mlp", batch_size=128), None),
    "SCARF, corruption 0.3": (ScarfTransformer(corruption_rate=0.3), None),
    "VICReg's loss": (VicregTransformer(corruption_rate=0.5), None),
}
CHOSEN = "BYOL, corruption out of fold"
CONSISTENT = "BYOL, then consistency on the pool"
N_CONSISTENT = 2  # draws on which that is trained
POOLED = "linear pool + propagated"


def scores_of(seen: dict, byol, labelled, pool, test, y) -> dict:
    """Return the linear scores of everything that is compared, of one labelled subset.

    ``byol`` is the pretrained encoder, or None to leave the training on the pool out.
    """

    first = seen["BYOL"]
    head = PooledHead(random_state=0).fit(
        some(first, labelled), y, X_unlabeled=unlabelled(first, pool)
    )
    without = head.without("embedding")
    pca = LinearHead(random_state=head.seed).fit(first.components[labelled, :64], y)
    scores = {
        "PCA (64) + LR": pca.log_odds(first.components[test, :64]),
        "linear pool": without.without("propagated").log_odds(some(first, test)),
        POOLED: without.log_odds(some(first, test)),
    }
    if byol is not None:
        p = softmax(without.log_odds(first), axis=1)
        Z = consistent(byol, first.genes, p, labelled, pool, y)
        seen = {**seen, CONSISTENT: first._replace(embedding=Z)}
    alone = {}
    for kind, features in seen.items():
        whole = head.with_embedding(
            some(features, labelled), y, X_unlabeled=unlabelled(features, pool)
        )
        scores[f"{kind}: default"] = whole.log_odds(some(features, test))
        alone[kind] = LinearHead(random_state=head.seed).fit(features.embedding[labelled], y)
        scores[kind] = alone[kind].log_odds(features.embedding[test])
    strengths = ("BYOL", "BYOL, corruption 0.5", "BYOL, corruption 0.9")
    best = max(strengths, key=lambda kind: alone[kind].log_likelihood_)
    scores[CHOSEN] = scores[best]
    folds, prior = inner_folds(y, 5, head.seed), np.sqrt(np.bincount(y))
    for kind, view in graphs(seen).items():
        near = Neighbourhoods(view[labelled], view[pool])
        expert = near.distil(folds, y, prior, np.ones(len(y)))
        other = head.without("embedding", "propagated")
        other.experts_["propagated"] = expert
        other._weigh()
        own = expert.log_odds(view[test]) * other.weights_["propagated"]
        rest = other.without("propagated")
        rest.weights_ = {k: w for k, w in other.weights_.items() if k != "propagated"}
        scores[f"graph: {kind}"] = own + rest.log_odds(some(first, test))
    return scores


def consistent(byol, values: np.ndarray, p: np.ndarray, labelled, pool, y) -> np.ndarray:
    """Return the embedding after training on the pool to predict the same when corrupted.

    Parameters
    ----------
    byol : ByolTransformer
        Where training starts.
    values : ndarray of shape (n_samples, n_genes)
        Standardised, of all samples.
    p : ndarray of shape (n_samples, n_classes)
        What the linear pool with its propagated expert says of the clean samples.
    labelled, pool : ndarray of int
        Rows.
    y : ndarray of int
        Classes of the labelled.
    """
    generator = torch.Generator().manual_seed(0)
    encoder = copy.deepcopy(byol.encoder_).eval()  # with the pretrained BatchNorm statistics
    layer = torch.nn.Linear(encoder.n_embedding, p.shape[1])
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *layer.parameters()], 3e-4)
    X, targets = torch.from_numpy(values), torch.from_numpy(p).float()
    others = X[pool]
    trust = targets.max(dim=1).values ** 2
    for _ in range(150):
        rows = torch.as_tensor(pool)[torch.randint(len(pool), (256,), generator=generator)]
        other = torch.randint(len(pool), (256, X.shape[1]), generator=generator)
        swapped = torch.rand(256, X.shape[1], generator=generator) < 0.5
        corrupted = torch.where(swapped, others.gather(0, other), X[rows])
        loss = (trust[rows] * F.cross_entropy(layer(encoder(corrupted)), targets[rows],
                                              reduction="none")).mean()  # fmt: skip
        loss = loss + F.cross_entropy(layer(encoder(X[labelled])), torch.as_tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return encoder(X).double().numpy()


def graphs(seen: dict) -> dict[str, np.ndarray]:
    """Return what neighbours are sought in; components are divided by the root of their spread."""
    components = seen["BYOL"].components[:, :64]
    spread = components.std(axis=0)
    turned = {}
    for kind in ("BYOL", "SCARF", "VIME"):
        centred = seen[kind].embedding - seen[kind].embedding.mean(axis=0)
        turned[kind] = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    return {
        "PCA": components,
        "PCA, not whitened": components * spread,
        "PCA, whitened": components / spread,
        **{f"{kind}'s embedding": view for kind, view in turned.items()},
    }


def one_split(folder: Path, name: str, split: int, n_draws: int) -> list[dict]:
    """Return the scores of every size and draw of one split."""
    warnings.simplefilter("ignore")
    data = frozen_splits.load(folder, name, split, DEVELOPMENT_SEED)
    both = np.concatenate([data.train, data.test])
    here, there = np.arange(len(data.train)), np.arange(len(data.train), len(both))
    records = []
    with threadpool_limits(1):
        seen, byol = {}, None
        for kind, (encoder, rate) in ENCODERS.items():
            with mock.patch(STEM, 0.1 if rate is None else rate):
                encoder.set_params(random_state=split).fit(data.train)
            byol = encoder if kind == "BYOL" else byol
            path = LinearPath.of(encoder, [], split)
            seen[kind] = path.features(both, encoder.transform(both).astype(np.float64))
        sizes = frozen_splits.sizes(data.n_classes)
        for size, j, labelled in frozen_splits.draws(
            data.y, sizes, split, n_draws, DEVELOPMENT_SEED
        ):
            rest = np.setdiff1d(here, labelled)
            start = byol if j < N_CONSISTENT else None
            scores = scores_of(seen, start, labelled, rest, there, data.y[labelled])
            at = {"set": name, "size": str(size), "split": split, "draw": j}
            records += [
                at | {"entry": entry} | measure(s, data.y_test) for entry, s in scores.items()
            ]
    return records


def table(frame: pd.DataFrame, entries: dict[str, tuple[str, str]]) -> str:
    """Return mean differences over the data sets, and that of the worst one."""
    sizes = ("one per class", "50", "100")
    lines = ["| | accuracy | worst set | balanced accuracy | worst set |", "|---" * 5 + "|"]
    for name, pair in entries.items():
        row = []
        for metric in ("accuracy", "balanced_accuracy"):
            found = cells(frame, *pair, metric)
            found = found[found.index.isin(sizes, level="size")]
            by = by_size(found).loc[list(sizes)]
            row.append(" / ".join(f"{at['mean']:+.1f} ± {at['se']:.1f}" for _, at in by.iterrows()))
            row.append(f"{found['mean'].groupby('set').mean().min():+.1f}")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def tables(frame: pd.DataFrame) -> dict[str, str]:
    """Return what docs/evidence.md shows."""
    alone = {kind: (kind, "PCA (64) + LR") for kind in [*ENCODERS, CHOSEN, CONSISTENT]}
    added = {
        f"{kind}, in the pool": (f"{kind}: default", POOLED) for kind in [*ENCODERS, CONSISTENT]
    }
    near = [entry for entry in frame["entry"].unique() if entry.startswith("graph: ")]
    return {
        "search_encoders": table(frame, alone),
        "search_pooled": table(frame, added),
        "search_graphs": table(frame, {entry: (entry, "linear pool") for entry in near}),
    }


if __name__ == "__main__":
    frozen_splits.visit(one_split, __doc__, tables, sets=SETS, n_splits=N_SPLITS, n_draws=4)
