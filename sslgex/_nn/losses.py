"""The losses of the pretext tasks, and a gauge of collapse."""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(z: Tensor, z_corrupted: Tensor, temperature: float, *, symmetric: bool) -> Tensor:
    r"""InfoNCE over a batch of pairs, as normalised matrix products and a cross-entropy.

    With the cosine similarity :math:`s` and the temperature :math:`\tau`, one-directional
    (SCARF, Bahri et al. 2022, eq. 1):

    .. math:: L = -\frac1B \sum_i \log
        \frac{\exp(s(z_i, \tilde z_i)/\tau)}{\sum_k \exp(s(z_i, \tilde z_k)/\tau)}

    Symmetric (NT-Xent, Chen et al. 2020): each of the :math:`2B` views against the
    :math:`2B - 1` others.

    Parameters
    ----------
    z, z_corrupted : Tensor of shape (batch, d)
        Projections of the clean and the corrupted view; row i of both is sample i.
    temperature : float
        Divides the similarities.
    symmetric : bool
        Which of the two forms.

    Returns
    -------
    Tensor
        The scalar loss.
    """
    n = len(z)
    # In float32 also where training is in bfloat16.
    z, z_corrupted = F.normalize(z.float(), dim=1), F.normalize(z_corrupted.float(), dim=1)
    rows = torch.arange(n, device=z.device)
    if not symmetric:
        return F.cross_entropy(z @ z_corrupted.T / temperature, rows)
    both = torch.cat([z, z_corrupted])
    # A view is not its own negative.
    itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    logits = (both @ both.T / temperature).masked_fill(itself, -torch.inf)
    return F.cross_entropy(logits, torch.cat([rows + n, rows]))


def cosine_loss(prediction: Tensor, target: Tensor) -> Tensor:
    r"""BYOL's regression loss, :math:`2 - 2\cos(q, z')` averaged over the batch (eq. 2)."""
    return 2 - 2 * F.cosine_similarity(prediction.float(), target.float(), dim=1).mean()


@torch.no_grad()
def spread(representation: Tensor) -> Tensor:
    """Gauge of collapse: 0 when all rows point the same way, 1 at most.

    The standard deviation over the batch of the representations scaled to unit length, summed
    over the dimensions in square: the variance of directions.
    """
    directions = F.normalize(representation.float(), dim=1)
    return directions.var(dim=0, correction=0).sum()
