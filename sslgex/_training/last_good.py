"""The weights that training would fall back on if it blew up in the next epoch."""

import torch
from skorch.callbacks import Callback


class LastGood(Callback):
    """Keeps the encoder as it was after the last epoch, in which all was finite.

    Attributes
    ----------
    weights : dict of Tensor or None
        The state of the encoder; None before the first epoch.
    """

    def __init__(self):
        self.weights: dict[str, torch.Tensor] | None = None

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Keep the weights that a checkpoint goes on from."""
        if len(net.history):
            self._keep(net)

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights; the loop has refused any that are not finite."""
        self._keep(net)

    def _keep(self, net) -> None:
        state = net.module_.encoder.state_dict()
        if self.weights is None:
            self.weights = {name: torch.empty_like(value) for name, value in state.items()}
        for name, value in state.items():
            self.weights[name].copy_(value.detach())
