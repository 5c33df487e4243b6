"""How much memory a fit takes, found by going through its parts without data and without values.

The network, its loss and its optimisers are those of the fit, so that what changes there changes
here. Of the rest it is said here which arrays there are when most are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from ._nn.encoder import Encoder
from ._nn.init import lend_generator
from ._nn.update import Optimizer, adamw
from ._sources import Sliced
from ._training.components import SIZE, SPARE, WIDTH
from ._training.device import resolve_device, resolve_precision
from ._training.engine import optimizers
from ._training.objective import Objective
from ._training.resident import BLOCK as ROWS
from ._training.resident import fits
from ._training.rows import BLOCK
from ._training.seeds import Seeds
from ._training.stream import IN_MEMORY, PIECE, n_drawn, n_windows
from ._training.tally import Heap, pretend, pretending, without_memory
from ._training.tensor_corruption import CHUNK
from ._training.views import n_batches
from .base import N_COMPONENTS, BaseSSLTransformer

BYTE, FLOAT, DOUBLE, LONG = 1, 4, 8, 8  # bytes of a value
# Measured, not derived (benchmarks/resources.py): what the libraries take for themselves, and how
# much larger the heap is for the gaps between arrays.
OWN, GAPS = 6 * 10**6, 1.1


@dataclass(frozen=True)
class Data:
    """What a pretrainer will be fitted on.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_genes).
    dtype : numpy.dtype
        Of the values.
    on_disk : bool
        Whether they are on disk, where a small matrix will not be left.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    on_disk: bool

    @property
    def source(self) -> Sliced:
        """The matrix, of which nothing can be read."""
        return Sliced(self, "X")

    @property
    def streams(self) -> bool:
        """Whether it stays on disk."""
        return self.on_disk and self.source.nbytes > IN_MEMORY

    @property
    def matrix_bytes(self) -> int:
        """What it takes in memory."""
        return 0 if self.streams else self.source.nbytes


class Plan:
    """What a fit will do with the data.

    Attributes
    ----------
    n_train, n_held_out : int
        Samples.
    n_kept : int
        Those in memory: all, or of a matrix on disk the donors and those held out.
    batch_size : int
        Samples in most batches.
    n_batches, n_epochs : int
        In an epoch; at most.
    resident : bool
        Whether the samples are copied to the device, and batches drawn there.
    """

    def __init__(self, estimator: BaseSSLTransformer, data: Data):
        n = data.shape[0]
        at_most = n_drawn(data.source) if data.streams else None
        # Numbers only: of samples that need not exist there is no list.
        self.n_held_out = estimator._n_held_out(n, at_most) or 0
        self.n_train = n - self.n_held_out
        self.n_kept = n if at_most is None else min(self.n_train, at_most) + self.n_held_out
        self.batch_size = min(estimator.batch_size, self.n_train)
        self.n_batches = n_batches(self.n_train, self.batch_size)
        self.n_epochs = estimator._n_epochs(self.n_batches)
        device = resolve_device(estimator.device)
        here = not data.streams and Seeds.drawn_on(device)
        self.resident = here and fits(n, data.shape[1], device)


class Batch:
    """A batch and its corrupted view, without values; see `views.Views`."""

    def __init__(self, n: int, n_genes: int, heap: Heap, drawing: int):
        self._heap, self._drawing = heap, drawing
        self.index: np.ndarray | Tensor = np.broadcast_to(0, n)  # one number
        self.clean = torch.empty(n, n_genes)

    def corrupted(self, rate: float, *, exact: bool = False) -> tuple[Tensor, Tensor]:
        """Return values and a mask."""
        mask = torch.empty(self.clean.shape, dtype=torch.bool)
        with self._heap.holding(self._drawing):
            return torch.empty_like(self.clean), mask


def fit_bytes(estimator: BaseSSLTransformer, data: Data) -> tuple[int, int]:
    """Return the bytes that a fit takes beside the data, in memory and on its GPU if it has one."""
    plan, device = Plan(estimator, data), resolve_device(estimator.device)
    n_genes = data.shape[1]
    host = Heap()
    there = host if device.type == "cpu" else Heap()
    _statistics(host, data, plan)
    n_components = _components(host, n_genes, plan)
    objective = without_memory(objective_of, estimator, n_genes, n_components)
    with pretending(there) as tally:
        pretend(objective)
        updates = _optimizers(objective, on_cpu=there is host)
        _keep_good(objective, estimator, there)
        if plan.resident:
            there.add(data.shape[0] * n_genes * FLOAT)
            host.add(ROWS)
        batch = partial(_batch, host, there, n_genes, plan)
        with host.holding(*_windows(data, plan)):
            _steps(objective, updates, batch, resolve_precision(estimator.precision, device))
        # The first layer of all samples, block by block.
        block = min(BLOCK, plan.n_kept) * n_genes * FLOAT
        with host.holding(block, block):
            pass
        # The gaps that batches left in the heap are too small for arrays of all samples.
        tally.heap = last = Heap()
        _reestimate(objective.encoder, plan.n_kept, last)
    peak = max(host.peak, host.held + last.peak)
    return OWN + round(GAPS * peak), 0 if there is host else there.peak


def objective_of(estimator: BaseSSLTransformer, n_genes: int, n_components: int) -> Objective:
    """Return the network that an estimator would train, its components being zeros."""
    estimator = clone(estimator)
    estimator.n_features_in_ = n_genes
    estimator.components_ = torch.zeros(n_components, n_genes)  # type: ignore[assignment]
    seeds = Seeds(0)
    encoder = estimator._build_encoder(seeds, 1.0)
    return estimator._make_objective(encoder, seeds.generator("heads"))


def _statistics(host: Heap, data: Data, plan: Plan) -> None:
    """Go through the statistics of all samples; what they are stays."""
    n_genes = data.shape[1]
    block = min(BLOCK, data.shape[0]) * n_genes * DOUBLE
    if data.streams:
        host.add(int(plan.n_kept * data.source.row_bytes))
        with host.holding(PIECE, PIECE, block, block, block):
            pass
    else:
        with host.holding(block, block):
            pass
    for _ in ("mean", "scale", "largest"):
        host.add(n_genes * DOUBLE)


def _components(host: Heap, n_genes: int, plan: Plan) -> int:
    """Go through the principal components, and return how many stay."""
    row, n = n_genes * FLOAT, plan.n_kept - plan.n_held_out
    basis = min(-(-SPARE * N_COMPONENTS // WIDTH) * WIDTH, n, n_genes)
    axes, block = min(WIDTH, basis) * row, min(SIZE, n) * row
    # The basis before and after its last growth; an image, its axes, and what the steps between
    # them and torch's decomposition take.
    with host.holding(block, block, *[axes] * 8, basis * row, basis * row):
        pass
    host.add(components_of(n_genes, plan) * row)
    return components_of(n_genes, plan)


def components_of(n_genes: int, plan: Plan) -> int:
    """Return how many principal components there will be."""
    return max(1, min(N_COMPONENTS, plan.n_kept - plan.n_held_out - 1, n_genes))


def _windows(data: Data, plan: Plan) -> list[int]:
    """Return the bytes of the two windows that are in memory in training."""
    if not data.streams:
        return []
    n = n_windows(data.source, plan.n_train // plan.batch_size)
    return [data.source.nbytes // n] * min(n, 2)


def _optimizers(objective: Objective, *, on_cpu: bool) -> list[Optimizer]:
    how = {"lr": 1e-3, "weight_decay": 0.0}
    if on_cpu:
        return optimizers(objective, **how)
    # Elsewhere the wide layers have whole gradients.
    return [adamw([p for p in objective.parameters() if p.requires_grad], **how)]


def _keep_good(objective: Objective, estimator: BaseSSLTransformer, there: Heap) -> None:
    """Keep the weights that training may go back to."""
    there.add(sum(tensor.nbytes for tensor in objective.encoder.state_dict().values()))
    if estimator.early_stopping:
        there.add(sum(tensor.nbytes for tensor in objective.state_dict().values()))


def _batch(host: Heap, there: Heap, n_genes: int, plan: Plan) -> Batch:
    """Return a batch, drawn where it is in the fit."""
    n, size = plan.batch_size, plan.batch_size * n_genes
    if plan.resident:
        return Batch(n, n_genes, there, min(size, CHUNK) * (2 * LONG + FLOAT))
    if there is not host:  # values, mask and random bytes before they are copied
        with host.holding(size * FLOAT, size * FLOAT, size * BYTE, size * BYTE):
            return Batch(n, n_genes, there, 0)
    return Batch(n, n_genes, host, size * BYTE)


def _steps(
    objective: Objective,
    updates: list[Optimizer],
    make_batch: Callable[[], Batch],
    precision: torch.dtype,
) -> None:
    """Go through two steps of training: in the first there are no moments yet."""
    lend_generator(objective, torch.Generator())
    objective.train()
    objective.start(2)
    for _ in range(2):
        for update in updates:
            update.zero_grad()
        batch = make_batch()
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            loss = objective.loss(batch)
        loss.backward()
        for update in updates:
            update.step()
        objective.after_step()
        del batch, loss
    for update in updates:
        update.zero_grad()
    objective.representation = None


@torch.no_grad()
def _reestimate(encoder: Encoder, n: int, heap: Heap) -> None:
    """Go through BatchNorm's last statistics, of the first layer's outputs."""
    n_hidden = encoder.input.linear.out_features
    with heap.holding(BLOCK * n_hidden * FLOAT, times=-(-n // BLOCK)):
        first = torch.empty(n, n_hidden)
    encoder.reestimate(first)
