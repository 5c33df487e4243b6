"""The scikit-learn contract of the pretrainers, written once."""

import copy
import os
from contextlib import closing
from numbers import Integral

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions

from ._callbacks import CallbackSupportMixin, Task
from ._checkpointing import CheckpointedFit, check_interval
from ._diverged import hand_over
from ._doc_link import DocumentationLinkMixin
from ._embedding import EmbeddingMixin
from ._fitting import KEPT, all_or_nothing
from ._inputs import check_values, check_X, check_X_unlabeled
from ._nn.encoder import Encoder, MLPEncoder
from ._nn.residual import ResidualEncoder
from ._parameters import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    SHARE_OR_NONE,
    PresetMixin,
    check_sizes,
    epoch_line,
)
from ._partial_fit import PartialFitMixin
from ._sources import Source
from ._streaming import draw_rows
from ._training.components import principal_components
from ._training.device import resolve_device, resolve_precision
from ._training.embed import first_layer
from ._training.engine import Engine
from ._training.last_good import LastGood
from ._training.objective import Objective
from ._training.rows import Rows
from ._training.schedule import SCHEDULES
from ._training.seeds import Seeds
from ._training.sources import make_sources
from ._training.statistics import ColumnStatistics
from ._training.stopping import EarlyStopping
from ._training.threads import share_of_processors
from ._warm_start import check_scale, digest_of_start, heads_of, start_from, start_heads_from
from .exceptions import DivergedError

# "auto" epochs (docs/evidence.md): so many passes, in no fewer steps than the first nor more than
# the second; but never fewer passes than the last.
AUTO_EPOCHS = 75
AUTO_STEPS = (300, 1_000)
LEAST_EPOCHS = 10
N_COMPONENTS = 128
STEM = 64  # of them, where the residual encoder starts


class BaseSSLTransformer(
    PresetMixin,
    DocumentationLinkMixin,
    CallbackSupportMixin,
    PartialFitMixin,
    EmbeddingMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base of the transformers that pretrain an encoder on unlabelled expression profiles.

    A method subclasses this with a constructor, its parameter constraints, its presets and
    `_make_objective`; see `ScarfTransformer` for the shared parameters and attributes.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like"],
        "architecture": [StrOptions({"mlp", "residual"})],
        "embedding": [StrOptions({"all", "last"})],
        "standardize": ["boolean"],
        "layer": [str, None],
        "dropout": [SHARE_OR_NONE],
        "lr": [POSITIVE],
        "weight_decay": [NOT_NEGATIVE],
        "schedule": [StrOptions(set(SCHEDULES))],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [COUNT, StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [SHARE, None],
        "n_iter_no_change": [COUNT],
        "tol": [NOT_NEGATIVE],
        "device": [str],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [COUNT, str],
    }

    def __init__(
        self,
        hidden_layer_sizes,
        *,
        architecture,
        embedding,
        standardize,
        layer,
        dropout,
        lr,
        weight_decay,
        schedule,
        batch_size,
        max_epochs,
        early_stopping,
        validation_fraction,
        n_iter_no_change,
        tol,
        device,
        precision,
        random_state,
        verbose,
        warm_start=False,
        checkpoint=None,
        checkpoint_every="10 minutes",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.architecture = architecture
        self.embedding = embedding
        self.standardize = standardize
        self.layer = layer
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    @share_of_processors()
    def fit(self, X, y=None, *, X_unlabeled=None):
        """Pretrain the encoder.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame, AnnData, on disk} of shape (n_samples, n_features)
            Expression profiles, samples in rows: log2 or otherwise variance-stabilised values,
            of any real dtype. Not copied, but for a Fortran-ordered array, once. On disk: a
            memmap, an h5py or zarr dataset, a backed AnnData, a list of parquet files, or what
            `datasets.samples_first` makes of genes x samples; see Notes.
        y : None
            Ignored; present for scikit-learn's Pipeline.
        X_unlabeled : matrix or list of matrices with n_features columns, default=None
            More profiles to pretrain on, over the same genes in the same order. In a list no
            cross-validation splitter ever cuts them; a bare matrix as long as `X` it would.

        Returns
        -------
        self : estimator
            The fitted transformer.

        Raises
        ------
        ValueError
            If X or a parameter is unusable or `checkpoint` is of another training; the message
            names the cause, the numbers, the cure.
        exceptions.DivergedError
            If training blows up; a ValueError that holds the estimator as it was before that.
        exceptions.OutOfMemoryError
            If memory is not enough; a MemoryError that says what takes less.
        OSError
            If rows of a matrix on disk cannot be read.

        Warns
        -----
        UserWarning
            If a checkpoint could not be written; training goes on without.

        Notes
        -----
        A matrix on disk of up to 512 MB is read into memory (a memmap is used as it is): the result
        is that of the same array. A larger one stays there. It is read once for the statistics,
        which are those of all samples, then once per epoch in blocks, by a thread; batches are
        mixed from 256 MB of blocks from all over the matrix. Donors, principal components and the
        last statistics of BatchNorm are of samples drawn at random and kept in memory: 256 MB of
        them, or 2,048; held out for validation are 256 MB at most, or 2,048. That takes about 1 GB
        of memory in all, for values of 4 bytes up to 30,000 genes. An array over a memmap,
        ``np.asarray(X)``, is taken for an array in memory.
        """
        self._check_parameters()
        device = resolve_device(self.device)
        first = check_X(
            self,
            X,
            reset=not self._goes_on,
            layer=self.layer,
            gather=True,
            min_samples=2,
            streams=True,
        )
        more = check_X_unlabeled(self, X_unlabeled, layer=self.layer)
        start = digest_of_start(self.encoder_, self._heads) if self._goes_on else None
        kept = CheckpointedFit(self, start)
        seeds = kept.seeds()
        rows: Rows
        if isinstance(first, Source):
            rows, split = draw_rows(self, first, more, seeds, kept)
        else:
            kept.see_all([first, *more])
            self._standardise_by(check_values(self, [first, *more]))
            rows = self._rows([first, *more])
            split = self._split(len(rows), seeds)
        encoder = self._make_encoder(rows, split[0], seeds)
        n_samples = sum(matrix.shape[0] for matrix in [first, *more])
        callbacks = kept.callbacks(seeds, n_samples)
        self.n_samples_seen_ = n_samples
        self._progress = None
        task = self._pretrain(encoder, rows, split, seeds, device, X, y, callbacks)
        task.end(dict)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self):
        state = super().__getstate__().copy()
        for name in KEPT:
            state.pop(name, None)
        return state

    # What a method defines

    def _make_objective(self, encoder: Encoder, generator: torch.Generator) -> Objective:
        """Return the objective that pretrains ``encoder``."""
        raise NotImplementedError

    # The parts of `fit`

    _heads: dict[str, torch.Tensor] | None = None

    @property
    def _goes_on(self) -> bool:
        """Whether training starts from an encoder at hand."""
        return self.warm_start and hasattr(self, "encoder_")

    def _check_parameters(self) -> None:
        """Raise for parameters that the constraints of single values do not catch."""
        check_sizes(self, "hidden_layer_sizes")
        check_interval(self)

    def _make_encoder(self, rows: Rows, train: np.ndarray, seeds: Seeds) -> Encoder:
        """Return the encoder as it starts; set the principal components, of the training rows."""
        if self._goes_on:
            encoder = self._build_encoder(seeds, 1.0)
            start_from(encoder, self.encoder_)
            return encoder
        seed = seeds.integer("components")
        self.components_, deviations = principal_components(rows, N_COMPONENTS, seed, train)
        if not len(self.components_):
            raise ValueError(
                f"The {len(train):,} samples to pretrain on are all the same: there is nothing to "
                f"learn. {len(rows) - len(train):,} more are held out for validation; is that "
                f"what validation_fraction={self.validation_fraction} should do here?"
            )
        return self._build_encoder(seeds, float(np.sqrt((deviations[:STEM] ** 2).mean())))

    def _build_encoder(self, seeds: Seeds, scale: float) -> Encoder:
        """Return the untrained encoder; ``scale`` is what its components are divided by."""
        if self.architecture == "residual":
            return ResidualEncoder(
                self.components_[:STEM],
                scale,
                self.hidden_layer_sizes,
                dropout=self.dropout,
                generator=seeds.generator("weights"),
            )
        return self._make_mlp(seeds)

    def _make_mlp(self, seeds: Seeds) -> MLPEncoder:
        return MLPEncoder(
            self.n_features_in_,
            self.hidden_layer_sizes,
            embedding=self.embedding,
            dropout=self.dropout,
            generator=seeds.generator("weights"),
        )

    def _pretrain(
        self, encoder: Encoder, rows: Rows, split: tuple, seeds: Seeds, device, X, y, callbacks
    ) -> Task:
        """Train ``encoder`` and keep it, with the history; return the task, still to be ended."""
        source, validation = make_sources(
            rows, *split, batch_size=self.batch_size, seeds=seeds, device=device
        )
        n_epochs = self._n_epochs(len(source))
        task = Task.root(self, n_epochs, X=X, y=y)
        # A generator of its own for the heads, so that encoders of one seed start alike.
        objective = self._make_objective(encoder, seeds.generator("heads"))
        if self._goes_on:
            start_heads_from(objective, self._heads)
        stopping = [EarlyStopping(self.n_iter_no_change, self.tol)] if self.early_stopping else []
        good = LastGood()
        engine = self._engine(
            objective,
            source,
            validation,
            seeds,
            device,
            schedule=self.schedule,
            max_epochs=n_epochs,
            report=self._reporter(task, encoder, n_epochs),
            callbacks=[*stopping, *callbacks, good],
        )
        try:
            with closing(source):
                history = engine.run()
        except DivergedError as error:
            if good.weights is not None:
                encoder.load_state_dict(good.weights)
                self._keep(encoder, rows, device, engine.rows()[:-1])
                hand_over(error, self)
            raise
        self._heads = heads_of(objective)
        self._keep(encoder, rows, device, history)
        return task

    def _engine(self, objective: Objective, source, validation, seeds: Seeds, device, **how):
        """Return the engine that trains the objective; ``how`` is what a training may differ in."""
        return Engine(
            objective,
            source=source,
            validation=validation,
            lr=self.lr,
            weight_decay=self.weight_decay,
            device=device,
            precision=resolve_precision(self.precision, device),
            generator=seeds.generator("dropout", device),
            **how,
        )

    def _keep(self, encoder: Encoder, rows: Rows, device, history: list[dict]) -> None:
        """Set what was fitted."""
        encoder.reestimate(first_layer(encoder, rows, device))
        self.encoder_ = encoder.eval()
        self.history_ = history
        self.n_iter_ = len(history)
        self.loss_curve_ = [epoch["loss"] for epoch in history]
        self.validation_loss_curve_ = None
        if history and all("validation_loss" in epoch for epoch in history):
            self.validation_loss_curve_ = [epoch["validation_loss"] for epoch in history]

    def _standardise_by(self, statistics: ColumnStatistics) -> None:
        if self._goes_on:  # the weights are for values standardised as before
            check_scale(self, statistics)
            return
        self.mean_ = statistics.mean if self.standardize else None
        self.scale_ = statistics.scale if self.standardize else None

    def _split(
        self, n: int, seeds: Seeds, at_most: int | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return training and held-out rows; none are held out unless asked for."""
        n_held_out = self._n_held_out(n, at_most)
        if n_held_out is None:
            return np.arange(n), None
        order = torch.randperm(n, generator=seeds.generator("split")).numpy()
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def _n_held_out(self, n: int, at_most: int | None = None) -> int | None:
        """Return how many rows are held out, None if that is not asked for."""
        fraction = self.validation_fraction
        if fraction is None and self.early_stopping:
            fraction = 0.1
        if fraction is None:
            return None
        # A lone sample has no negatives: its contrastive loss is 0 whatever the network.
        n_held_out = max(2, round(fraction * n))
        n_held_out = n_held_out if at_most is None else min(n_held_out, at_most)
        if n - n_held_out < 2:
            raise ValueError(
                f"validation_fraction={fraction} of {n} samples leaves {n - n_held_out} to "
                "pretrain on; at least 2 are needed. Lower it or set early_stopping=False."
            )
        return n_held_out

    def _n_epochs(self, n_batches: int) -> int:
        if self.max_epochs == "auto":
            steps = min(max(AUTO_EPOCHS * n_batches, AUTO_STEPS[0]), AUTO_STEPS[1])
            return max(LEAST_EPOCHS, -(-steps // n_batches))
        return self.max_epochs

    def _reporter(self, task: Task, encoder: Encoder, n_epochs: int):
        """Return the function that tells the user and scikit-learn's callbacks of an epoch."""

        def report(epoch: dict) -> bool:
            if self.verbose:
                print(epoch_line(type(self).__name__, epoch, n_epochs), flush=True)
            return task.begin("epoch").end(
                lambda: {"encoder_": copy.deepcopy(encoder).cpu().eval()}
            )

        return report
