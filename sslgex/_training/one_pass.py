"""One epoch more of a training that has no end."""

from skorch.callbacks import Callback

from .state import Moments, moments_of, restore_history, restore_moments


class OnePass(Callback):
    """Goes on from what an earlier training left, and ends after one epoch.

    Parameters
    ----------
    history : list of dict
        The epochs before.
    moments : Moments or None
        The optimiser's state after them; None begins anew.

    Attributes
    ----------
    moments : Moments or None
        That after this epoch, once it has ended.
    """

    def __init__(self, history: list[dict], moments: Moments | None):
        self.history = history
        self.moments = moments

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Go on."""
        restore_history(net, self.history)
        if self.moments is not None:
            restore_moments(net, self.moments)

    def on_epoch_end(self, net, **kwargs):
        """End."""
        net.stop_ = True

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Keep the optimiser's state."""
        self.moments = moments_of(net)
