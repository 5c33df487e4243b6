"""When to stop, and going back to the best weights."""

import torch
from skorch.callbacks import Callback


class EarlyStopping(Callback):
    """Stop when the validation loss has not fallen for ``patience`` epochs, keep the best weights.

    Parameters
    ----------
    patience : int
        Epochs without improvement before training stops.
    tol : float
        By how much the loss must fall to count as improvement.
    """

    def __init__(self, patience: int, tol: float):
        self.patience = patience
        self.tol = tol

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Forget what was best."""
        self.best_ = float("inf")
        self.weights_ = None
        self.waited_ = 0

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best so far."""
        loss = net.history[-1, "validation_loss"]
        if loss < self.best_ - self.tol or self.weights_ is None:
            self.best_ = loss
            self.waited_ = 0
            state = net.module_.state_dict()
            self.weights_ = {name: value.detach().clone() for name, value in state.items()}
        else:
            self.waited_ += 1
            net.stop_ = net.stop_ or self.waited_ >= self.patience

    def state(self) -> dict:
        """Return what `go_on` needs."""
        return {"best": self.best_, "waited": self.waited_, "weights": self.weights_}

    def go_on(self, state: dict) -> None:
        """Go on from the state of another."""
        self.best_, self.waited_ = state["best"], state["waited"]
        self.weights_ = state["weights"]

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Put the best weights back."""
        with torch.no_grad():
            net.module_.load_state_dict(self.weights_)
        self.weights_ = None
