"""The training loop.

skorch gives the lifecycle (initialise, notify, history). The epoch is ours: losses stay on the
device until it ends, and Ctrl-C stops the program rather than the training.
"""

import math
import time
from collections.abc import Callable, Iterable

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from .._nn.init import lend_generator
from .._nn.losses import spread
from .._nn.update import Optimizer, adamw
from .._nn.wide import Wide
from ..exceptions import DivergedError
from .objective import Objective
from .schedule import SCHEDULES
from .views import BatchSource


class Engine(NeuralNet):
    """Trains an objective in place on the batches of a source.

    Parameters
    ----------
    objective : Objective
        What is trained.
    source, validation : BatchSource
        Batches of every epoch; ``validation`` may be None.
    schedule : {"one-cycle", "constant"}
        Course of the learning rate over all steps.
    max_epochs : int or inf
        Passes over the batches; without an end, a callback stops them.
    weight_decay : float
        AdamW's decoupled weight decay.
    precision : torch.dtype
        float32, or bfloat16 for autocast.
    generator : torch.Generator
        For dropout.
    report : callable
        Called after every epoch with its record, a dict; returns whether to stop.
    callbacks : list of skorch callbacks
        Such as `EarlyStopping`.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        source: BatchSource,
        validation: BatchSource | None,
        lr: float,
        weight_decay: float,
        schedule: str,
        max_epochs: float,
        device: torch.device,
        precision: torch.dtype,
        generator: torch.Generator,
        report: Callable[[dict], bool],
        callbacks: Iterable[Callback] = (),
    ):
        self.objective = objective
        self.source = source
        self.validation = validation
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.precision = precision
        self.generator = generator
        self.report = report
        super().__init__(
            objective,
            criterion=nn.Identity,
            lr=lr,
            max_epochs=max_epochs,
            device=device,
            callbacks=list(callbacks),
            train_split=None,
            verbose=0,
        )

    @property
    def _default_callbacks(self):
        return []

    def initialize_history(self):
        """Begin with no epochs, and with nothing that would end them."""
        self.stop_ = False
        return super().initialize_history()

    def initialize_optimizer(self, *args, **kwargs):
        """Let the wide layers update themselves and one AdamW the rest."""
        how = {"lr": self.lr, "weight_decay": self.weight_decay}
        self.optimizers_ = optimizers(self.module_, **how)
        return self

    def run(self) -> list[dict]:
        """Train, and return the history: a dict per epoch."""
        lend_generator(self.objective, self.generator)
        try:
            self.fit(None)
        finally:
            lend_generator(self.objective, None)
            for module in self.objective.modules():
                if isinstance(module, Wide):
                    module.deferred = None
            self.objective.zero_grad(set_to_none=True)
            self.objective.to("cpu").eval()
            self.objective.representation = None
        return self.rows()

    def rows(self) -> list[dict]:
        """Return a dict per epoch so far."""
        return [{k: v for k, v in row.items() if k != "batches"} for row in self.history]

    def partial_fit(self, X, y=None, **fit_params):
        """Train; unlike skorch's, this lets KeyboardInterrupt through."""
        self.notify("on_train_begin", X=X, y=y)  # where a checkpoint is gone on from
        self.fit_loop(X, y)
        self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Run the epochs."""
        n_steps = self.max_epochs * len(self.source)
        factor = SCHEDULES[self.schedule]
        step = len(self.history) * len(self.source)
        self.module_.start(n_steps, step)
        while len(self.history) < self.max_epochs and not self.stop_:
            started = time.perf_counter()
            self.notify("on_epoch_begin")
            self.module_.train()
            total = torch.zeros((), device=self.device)
            for views in self.source:
                self.train_batch(views, self.lr * factor(step, n_steps), total)
                step += 1
                del views  # before the next are made
            rate = self.optimizers_[0].param_groups[0]["lr"]
            representation = self.module_.representation  # validation leaves one of its own
            loss = float(total) / self.source.bounds[-1]
            self._refuse_unless_finite("the loss", loss)
            self._refuse_unless_finite("the sum of the weights", self._sum_of_weights())
            self.history.record("loss", loss)
            if self.validation is not None:
                validation_loss = self.validate()
                self._refuse_unless_finite("the validation loss", validation_loss)
                self.history.record("validation_loss", validation_loss)
            self.history.record("lr", rate)
            if representation is not None:
                self.history.record("spread", float(spread(representation)))
            self.history.record("seconds", time.perf_counter() - started)
            self.notify("on_epoch_end")

    def train_batch(self, views, lr: float, total: torch.Tensor) -> None:
        """Update the weights once, and add the loss of the batch's rows to ``total``."""
        for optimizer in self.optimizers_:
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("rate", 1.0)
            optimizer.zero_grad()
        loss = self._loss(views)
        loss.backward()
        for optimizer in self.optimizers_:
            optimizer.step()
        self.module_.after_step()
        total += loss.detach() * len(views.index)

    @torch.no_grad()
    def validate(self) -> float:
        """Return the mean loss over the validation rows, in evaluation mode."""
        assert self.validation is not None
        self.module_.eval()
        total = torch.zeros((), device=self.device)
        for views in self.validation:
            total += self._loss(views) * len(views.index)
        return float(total) / self.validation.bounds[-1]

    def _sum_of_weights(self) -> float:
        """Return what is finite only if all weights are; the loss is of those before the update."""
        with torch.no_grad():
            return float(sum(p.sum() for p in self.module_.parameters()))

    def _refuse_unless_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError(
                f"Training blew up: {what} is {value} in epoch {len(self.history)}. Lower the "
                f"learning rate, lr={self.lr:g}, and see that no other parameter of the loss is "
                "extreme."
            )

    def on_epoch_end(self, net, **kwargs):
        """Hand the epoch's record on."""
        self.stop_ = bool(self.report(self.rows()[-1])) or self.stop_

    def _loss(self, views) -> torch.Tensor:
        mixed = self.precision != torch.float32
        kind = torch.device(self.device).type
        with torch.autocast(kind, dtype=self.precision, enabled=mixed):
            return self.module_.loss(views)


def optimizers(module: nn.Module, *, lr: float, weight_decay: float) -> list[Optimizer]:
    """Return who updates the weights of a network: its wide layers, and one AdamW the rest."""
    wide = [m for m in module.modules() if isinstance(m, Wide)]
    wide = [m for m in wide if all(p.requires_grad for p in m.parameters())]
    theirs = {id(p) for m in wide for p in m.parameters()}
    ours = [p for p in module.parameters() if p.requires_grad and id(p) not in theirs]
    found: list[Optimizer] = [adamw(ours, lr=lr, weight_decay=weight_decay)] if ours else []
    return found + [m.optimizer(lr=lr, weight_decay=weight_decay) for m in wide]
