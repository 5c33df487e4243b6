"""What a method hands to the training loop."""

from typing import Any

from torch import Tensor, nn

from .views import Views


class Objective(nn.Module):
    """Encoder, heads and loss of one training task.

    A method subclasses this, builds its heads in ``__init__`` and defines ``loss``.

    Parameters
    ----------
    encoder : nn.Module
        The network that stays when the heads are thrown away.

    Attributes
    ----------
    representation : Tensor or None
        What the encoder made of the clean view of the last batch; the loop gauges collapse on it.
    """

    encoder: Any
    representation: Tensor | None = None

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def loss(self, views: Views) -> Tensor:
        """Return the scalar loss of a batch."""
        raise NotImplementedError

    def start(self, n_steps: float, step: int = 0) -> None:
        """Prepare for a training of at most ``n_steps`` updates, of which ``step`` have been made.

        ``n_steps`` is infinite where no end is known: in `partial_fit`, every call of which starts.
        A training that was interrupted goes on with the parameters and buffers that it had; any
        other state must follow from ``step``.
        """

    def after_step(self) -> None:
        """Act after an update of the weights; never called in evaluation."""

    def represent(self, views: list[Tensor]) -> list[Tensor]:
        """Encode the views, the clean one first."""
        representations = self.encoder.represent(views)
        self.representation = representations[0].detach()
        return representations
