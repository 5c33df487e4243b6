"""`partial_fit` of the pretrainers: one pass over the samples given, from where the last ended."""

import math
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import _fit_context

from ._callbacks import Task
from ._fitting import all_or_nothing
from ._inputs import check_statistics, check_values, check_X
from ._on_disk import check_finite
from ._sources import Sliced, Source
from ._training.device import resolve_device
from ._training.one_pass import OnePass
from ._training.reservoir import ChunkSource, Reservoir
from ._training.seeds import Seeds
from ._training.state import Moments
from ._training.statistics import ColumnStatistics
from ._training.stream import Drawn, StreamSource, check_blocks, n_drawn, survey
from ._training.threads import share_of_processors
from ._training.views import BatchSource
from ._training.warning import warn_user
from ._warm_start import PARTIAL_FIT, check_scale, heads_of, start_from, start_heads_from


@dataclass(frozen=True)
class Progress:
    """What `partial_fit` goes on with, beside the fitted attributes and the heads.

    Attributes
    ----------
    root : int
        What the seeds of every call are made from.
    reservoir : Reservoir
        Samples that donors are drawn from.
    moments : Moments or None
        State of the optimiser.
    device : str
        The type of the device that it is of.
    """

    root: int
    reservoir: Reservoir
    moments: Moments | None
    device: str


class PartialFitMixin:
    """`partial_fit`, for a pretrainer that has all the rest of `BaseSSLTransformer`."""

    _progress: Progress | None = None
    mean_: np.ndarray | None
    scale_: np.ndarray | None
    n_samples_seen_: int
    _heads: Any

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @share_of_processors()
    def partial_fit(self: Any, X, y=None):
        """Pretrain on some samples more: one pass over them.

        The first call starts an encoder, any other goes on with the one at hand, whether it comes
        from `partial_fit`, `fit` or a file. A call that fails or is interrupted changes nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame, AnnData, on disk} of shape (n_samples, n_features)
            Expression profiles, two or more, of what `fit` takes. Nothing refers to them later.
        y : None
            Ignored.

        Returns
        -------
        self : estimator
            The fitted transformer.

        Raises
        ------
        ValueError
            If X or a parameter is unusable, if `X` has one sample only (neither BatchNorm nor a
            contrast can be had of it: collect a few), other genes than the first call, or values
            beyond float32 on its scale; if parameters ask for another architecture; if
            ``early_stopping=True``, since no samples are held out.
        OSError
            If rows of a matrix on disk cannot be read.

        Warns
        -----
        UserWarning
            If the encoder comes from a pickle, a copy or a saved file, where heads, optimiser and
            reservoir are left out: these start anew. If the device is of another type than in the
            last call: the optimiser starts anew. If genes vary that were constant in the first
            call: they are taken as 0.

        Notes
        -----
        What the first call decides: `mean_` and `scale_`, with genes that are constant in it 0 ever
        after, and `components_`, of which a residual encoder is as wide as there are, 64 at most.
        Let it have some hundred samples, drawn from all there are if these are sorted. Later calls
        keep all of it. For means and scales of all samples give standardised ones:
        ``StandardScaler().partial_fit`` over the chunks, then ``standardize=False`` here.

        The learning rate is `lr` throughout, and BYOL's decay stays at `ema_decay`, since the end
        of the training is not known: `schedule`, `ema_schedule`, `max_epochs`,
        `validation_fraction`, `checkpoint` and `warm_start` are ignored. `lr` and `weight_decay`
        may be changed between calls. A last batch of one sample joins the one before. Of
        `random_state` the first call takes one number, from which the seeds of all calls are made.
        Batches and corruption are drawn on the host, also for a GPU.

        Donors are drawn from a reservoir: samples of all calls since the last `fit`, each set of
        them as likely as any other, so that their marginals are those of all samples seen. It is
        kept in memory and holds up to 256 MB, or 2,048 samples if those are more. Whenever a call
        ends, BatchNorm's statistics are estimated anew on it, so that `transform` depends on what
        was seen, not on the last call alone. A sample that is given twice counts twice.

        Chunks of some thousand samples are economical: beside its steps, every call copies the
        reservoir once and takes it once through the encoder's first layer.

        After `fit` the encoder and its heads are those of `fit`; optimiser and reservoir begin with
        the first call, so donors are of its samples. A later `fit` starts anew, or with
        ``warm_start=True`` from encoder and heads.

        Examples
        --------
        >>> from sslgex import ScarfTransformer
        >>> from sslgex.datasets import make_expression
        >>> X, y = make_expression(n_samples=400, n_genes=200, return_X_y=True, random_state=0)
        >>> scarf = ScarfTransformer(hidden_layer_sizes=(32, 32), random_state=0)
        >>> for chunk in (X[:200], X[200:]):
        ...     scarf = scarf.partial_fit(chunk)
        >>> scarf.n_samples_seen_, scarf.n_iter_
        (400, 2)
        """
        self._validate_params()  # scikit-learn does so in the first call only
        self._check_parameters()
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it holds no samples out. Set "
                "early_stopping=False, and stop calling it when you want to."
            )
        device = resolve_device(self.device)
        goes_on = hasattr(self, "encoder_")
        matrix = check_X(
            self,
            X,
            reset=not goes_on,
            layer=self.layer,
            gather=True,
            min_samples=2,
            streams=True,
        )
        history = self.history_ if goes_on else []
        before = self._progress
        if before is None:
            root = Seeds(self.random_state).root
            before = Progress(root, Reservoir(), None, device.type)
        seeds = Seeds(None, before.root).of_call(len(history))
        reservoir = self._see(matrix, before.reservoir, seeds, goes_on)
        how = {"batch_size": self.batch_size, "seed": seeds.integer("batches"), "device": device}
        source: BatchSource
        if isinstance(matrix, Source):
            donors = rows = Drawn(
                reservoir.matrix, self.mean_, self.scale_, matrix, None, partial(check_finite, self)
            )
            source = StreamSource(donors, np.arange(len(donors)), **how)
        else:
            donors, rows = self._rows([reservoir.matrix]), self._rows([matrix])
            source = ChunkSource(rows, donors, **how)
        if goes_on:
            encoder = self._build_encoder(seeds, 1.0)
            start_from(encoder, self.encoder_, PARTIAL_FIT)
        else:
            encoder = self._make_encoder(rows, np.arange(len(rows)), seeds)
        objective = self._make_objective(encoder, seeds.generator("heads"))
        if goes_on:
            start_heads_from(objective, self._heads, PARTIAL_FIT)
        one_pass = OnePass(history, _moments_for(device.type, before))
        task = Task.root(self, 1, X=X, y=y)
        engine = self._engine(
            objective,
            source,
            None,
            seeds,
            device,
            schedule="constant",
            max_epochs=math.inf,
            report=self._reporter(task, encoder, len(history) + 1),
            callbacks=[one_pass],
        )
        with closing(source):
            history = engine.run()
        self._heads = heads_of(objective)
        self._keep(encoder, donors, device, history)
        self.n_samples_seen_ = matrix.shape[0] + (self.n_samples_seen_ if goes_on else 0)
        self._progress = Progress(before.root, reservoir, one_pass.moments, device.type)
        task.end(dict)
        return self

    def _see(self: Any, matrix, reservoir: Reservoir, seeds: Seeds, goes_on: bool) -> Reservoir:
        """Check values; set the genes' statistics or hold them to the first; fill the reservoir."""
        source = matrix if isinstance(matrix, Source) else Sliced(matrix, "X")
        draw = reservoir.draw(len(source), n_drawn(source), seeds.integer("donors"))
        if isinstance(matrix, Source):
            check_blocks(matrix)
            check = partial(check_finite, self)
            statistics, rows = survey(matrix, draw.new, check)
            check_statistics(self, statistics, len(matrix))
        else:
            statistics = check_values(self, [matrix])
            rows = matrix[draw.new]
        if goes_on:
            check_scale(self, statistics, PARTIAL_FIT)
            _warn_of_late_genes(self, statistics)
        else:
            self._standardise_by(statistics)
        return draw.filled(rows)


def _moments_for(device: str, progress: Progress) -> Moments | None:
    """Return the state of the optimiser, if it is of such a device."""
    if progress.device == device or progress.moments is None:
        return progress.moments
    warn_user(
        f"The last call of partial_fit was on device type {progress.device!r}, this one is on "
        f"{device!r}: the state of the optimiser starts anew."
    )
    return None


def _warn_of_late_genes(estimator, statistics: ColumnStatistics) -> None:
    """Warn if genes vary whose scale is that of a constant."""
    if estimator.scale_ is None:
        return
    constant = np.isinf(estimator.scale_)
    if np.isfinite(statistics.scale[constant]).any():
        # The same words in every call, so that Python shows them once.
        warn_user(
            f"{constant.sum():,} of {len(constant):,} genes were constant in the samples that the "
            "first call or fit had, and are taken as 0 ever after although some of them vary now. "
            "Begin with more samples, or with some of every kind."
        )
