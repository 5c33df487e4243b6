"""Will a fit fit, and how long will it take."""

from dataclasses import dataclass
from math import ceil, inf, isnan, nan
from numbers import Integral, Real
from statistics import median
from typing import Any

import numpy as np
from sklearn.base import clone

from ._callbacks import SUPPORTED
from ._rehearsal import Data, Plan, components_of, fit_bytes
from ._training.device import free_memory, resolve_device
from ._training.rows import Rows
from ._training.seeds import Seeds
from ._training.threads import share_of_processors
from .base import BaseSSLTransformer
from .byol import ByolTransformer
from .classifier import SSLClassifier
from .scarf import ScarfTransformer
from .vime import VimeTransformer

METHODS = {"scarf": ScarfTransformer, "vime": VimeTransformer, "byol": ByolTransformer}
PROBE = 64 * 2**20  # bytes of rows, or a batch
PROBE_EPOCHS = 3  # the first does not count
MOST = 2**28  # samples in a batch; of all pairs of more torch could not count the bytes


@dataclass(frozen=True)
class ResourceEstimate:
    """What a fit of a pretrainer needs; printed, a summary.

    Attributes
    ----------
    method : str
        Class of the pretrainer.
    n_samples, n_genes : int
        Shape of the data.
    matrix_bytes : int
        What the matrix itself takes in memory; 0 where it stays on disk.
    fit_bytes : int
        What `fit` takes beside it when it takes most.
    device_bytes : int
        What it takes on the GPU; 0 where it computes on the CPU.
    memory : int
        Bytes that there are for the matrix and the fit.
    device_memory : int
        Bytes that are free on the GPU; 0 where it computes on the CPU.
    batch_size : int
        Samples in a batch.
    largest_batch_size : int
        The largest power of two, up to the number of samples and 2**28, with which it would fit; 0
        where none does.
    n_epochs : int
        Epochs, at most.
    seconds_per_epoch : float
        Time of one; nan where it was not measured.
    """

    method: str
    n_samples: int
    n_genes: int
    matrix_bytes: int
    fit_bytes: int
    device_bytes: int
    memory: int
    device_memory: int
    batch_size: int
    largest_batch_size: int
    n_epochs: int
    seconds_per_epoch: float

    @property
    def fits(self) -> bool:
        """bool : Whether there is enough memory."""
        needed = self.matrix_bytes + self.fit_bytes
        return needed <= self.memory and self.device_bytes <= self.device_memory

    def __str__(self) -> str:
        needed = self.matrix_bytes + self.fit_bytes
        lines = [
            f"{self.method} on {self.n_samples:,} samples x {self.n_genes:,} genes, "
            f"batches of {self.batch_size:,}",
            f"  memory: {_size(self.matrix_bytes)} for X + {_size(self.fit_bytes)} for fit = "
            f"{_size(needed)} of {_size(self.memory)}",
        ]
        if self.device_memory:
            have = f"{_size(self.device_bytes)} of {_size(self.device_memory)}"
            lines.append(f"  GPU: {have}")
        if self.largest_batch_size:
            # That of few samples need be no power of two.
            largest = max(self.largest_batch_size, self.batch_size if self.fits else 0)
            batches = f"fits with batches of up to {largest:,}"
            lines.append(f"  {batches if self.fits else f'does not fit; it {batches}'}")
        else:
            lines.append("  does not fit, whatever the batches")
        epochs = f"{self.n_epochs:,} epochs at most"
        if isnan(self.seconds_per_epoch):
            lines.append(f"  time: {epochs}, not measured")
        else:
            total = _duration(self.n_epochs * self.seconds_per_epoch)
            lines.append(f"  time: {_duration(self.seconds_per_epoch)} an epoch, {epochs}: {total}")
        return "\n".join(lines)


def estimate_resources(
    n_samples,
    n_genes,
    method="scarf",
    *,
    dtype="float32",
    on_disk=False,
    memory=None,
    probe=True,
):
    """Estimate memory and time of a pretrainer's `fit`, and the batch size that fits.

    Parameters
    ----------
    n_samples, n_genes : int
        Shape of the data that are to be pretrained on, those of ``X_unlabeled`` among them. They
        need not exist.
    method : {"scarf", "vime", "byol"} or pretrainer, default="scarf"
        Which pretrainer, with its defaults, or one with the parameters that it will be fitted with;
        neither changed nor fitted.
    dtype : dtype, default="float32"
        Of the values, which are taken to be dense.
    on_disk : bool, default=False
        Whether the matrix will be passed as one on disk, which stays there beyond 512 MB.
    memory : int or float, default=None
        Bytes that there are for the matrix and the fit together; Python and the packages take
        about half a gigabyte more. None for what this process can still take: what is free here,
        or what a container's or batch job's limit leaves if that is less.
    probe : bool, default=True
        Whether to measure how long an epoch takes, on random data of that many genes: some seconds,
        and up to 200 MB beside the network. Nothing is measured where the fit would not fit.

    Returns
    -------
    estimate : ResourceEstimate
        Its attributes are numbers of bytes and seconds; ``print(estimate)`` for people.

    Raises
    ------
    ValueError, TypeError
        If an argument or a parameter of the pretrainer is unusable, with the cure.

    Notes
    -----
    Bytes are counted on the network, the loss and the optimiser of the fit itself, going through
    two steps of training in which tensors have no values; the statistics, the principal components,
    the windows of a matrix on disk and BatchNorm's last statistics are counted from their shapes;
    a tenth and 6 MB are added for the gaps between arrays and the libraries' own. "Larger than
    memory" in the documentation has measured fits beside estimates. What the pages of a memmap
    take is not counted: the system gives them back. Where X is in memory already, what is free need
    only hold ``fit_bytes``.

    The time of an epoch is extrapolated from batches of the real size and is that of this machine,
    as busy as it is. It is without what happens once, the check of all values, their statistics and
    the principal components (about as long as seven passes over the samples), and without the
    reading of a matrix on disk.

    Examples
    --------
    >>> from sslgex import VimeTransformer, estimate_resources
    >>> vime = VimeTransformer(device="cpu", max_epochs=20)
    >>> estimate = estimate_resources(40_000, 20_000, vime, memory=16e9, probe=False)
    >>> print(estimate)
    VimeTransformer on 40,000 samples x 20,000 genes, batches of 256
      memory: 3.2 GB for X + 0... GB for fit = ... GB of 16.0 GB
      fits with batches of up to ...
      time: 20 epochs at most, not measured
    >>> estimate.fits
    True
    """
    estimator = _pretrainer(method)
    data = Data(_shape(n_samples, n_genes), _dtype(dtype), bool(on_disk))
    estimator._validate_params()
    estimator._check_parameters()
    device = resolve_device(estimator.device)
    on_cpu = device.type == "cpu"
    if memory is not None and not (isinstance(memory, Real) and 0 < float(memory) < inf):
        raise ValueError(f"memory must be a positive number of bytes, or None; got {memory!r}.")
    memory = free_memory(resolve_device("cpu")) if memory is None else int(float(memory))
    device_memory = 0 if on_cpu else free_memory(device)

    def fitting(batch_size: int) -> bool:
        changed = clone(estimator).set_params(batch_size=batch_size)
        host, there = fit_bytes(changed, data)
        return data.matrix_bytes + host <= memory and there <= device_memory

    plan = Plan(estimator, data)
    host, there = fit_bytes(estimator, data)
    fits = data.matrix_bytes + host <= memory and there <= device_memory
    return ResourceEstimate(
        method=type(estimator).__name__,
        n_samples=data.shape[0],
        n_genes=data.shape[1],
        matrix_bytes=data.matrix_bytes,
        fit_bytes=host,
        device_bytes=there,
        memory=memory,
        device_memory=device_memory,
        batch_size=plan.batch_size,
        largest_batch_size=_largest_power(min(plan.n_train, MOST), fitting),
        n_epochs=plan.n_epochs,
        seconds_per_epoch=_seconds_per_epoch(estimator, data, plan) if probe and fits else nan,
    )


def _largest_power(most: int, fitting) -> int:
    """Return the largest power of two up to ``most`` that fits, 0 if not even 2 does."""
    low, high = 0, most.bit_length()  # 2**low fits or low is 0; 2**high does not
    if fitting(2 ** (high - 1)):
        return 2 ** (high - 1)
    high -= 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fitting(2**middle) else (low, middle)
    return 2**low if low else 0


@share_of_processors()
def _seconds_per_epoch(estimator: BaseSSLTransformer, data: Data, plan: Plan) -> float:
    """Return how long an epoch takes, measured on random rows of as many genes."""
    n_samples, n_genes = data.shape
    share = plan.n_train / n_samples
    n_batches = max(1, round(PROBE / (data.source.row_bytes * plan.batch_size)))
    n = min(n_samples, ceil(n_batches * plan.batch_size / share))
    estimator = clone(estimator)
    # Nothing that is learned is wanted.
    how = {"max_epochs": PROBE_EPOCHS, "early_stopping": False, "lr": 1e-6, "random_state": 0}
    fraction = None if plan.n_train == n_samples else plan.n_held_out / n_samples
    estimator.set_params(**how, validation_fraction=fraction, checkpoint=None, verbose=0)
    if SUPPORTED:
        estimator.set_callbacks()
    X = _random(n, n_genes, data.dtype)
    seeds = Seeds(0)
    estimator.n_features_in_ = n_genes
    estimator._standardise_by(Rows([X]).statistics())
    estimator.components_ = _random(components_of(n_genes, plan), n_genes, np.dtype("float32"))
    encoder = estimator._build_encoder(seeds, np.sqrt(n_genes))
    rows, split = estimator._rows([X]), estimator._split(n, seeds)
    device = resolve_device(estimator.device)
    estimator._pretrain(encoder, rows, split, seeds, device, X, None, []).end(dict)
    seconds = median(epoch["seconds"] for epoch in estimator.history_[1:])
    return seconds * n_samples / n


def _random(n: int, n_genes: int, dtype: np.dtype) -> np.ndarray:
    """Return values like log expression; after some samples they are the same again."""
    rng = np.random.default_rng(0)
    some = np.abs(8 + 2 * rng.standard_normal((min(n, 128), n_genes), dtype=np.float32))
    return np.resize(some.astype(dtype), (n, n_genes))


def _pretrainer(method) -> BaseSSLTransformer:
    """Return the pretrainer that is meant."""
    if isinstance(method, str):
        if method not in METHODS:
            raise ValueError(f"method={method!r} is none of {sorted(METHODS)}, nor a pretrainer.")
        return METHODS[method]()
    if isinstance(method, BaseSSLTransformer):
        return clone(method)
    if isinstance(method, type) and issubclass(method, BaseSSLTransformer):
        make: Any = method
        return make()
    cure = "one of sslgex's transformers, such as ScarfTransformer()"
    if isinstance(method, SSLClassifier):
        cure = "what pretrains its encoder: clf.encoder, or " + cure
    raise TypeError(
        f"method must be {sorted(METHODS)} or a pretrainer, got {type(method).__name__}. "
        f"Pass {cure}."
    )


def _shape(n_samples, n_genes) -> tuple[int, int]:
    for name, value, least in (("n_samples", n_samples, 2), ("n_genes", n_genes, 1)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
    return int(n_samples), int(n_genes)


def _dtype(dtype) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "biuf":
        raise ValueError(f"dtype must be one of real numbers, such as 'float32'; got {dtype!r}.")
    return found


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
