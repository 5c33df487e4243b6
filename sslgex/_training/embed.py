"""Running an encoder over rows, outside of training."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from .._nn.encoder import Encoder
from .rows import BLOCK, Rows
from .threads import share_of_processors


@torch.no_grad()
@share_of_processors()
def embed(
    encoder: Encoder, rows: Rows, device: torch.device, check: Callable[[np.ndarray], None]
) -> np.ndarray:
    """Return the embedding of every row, float32 of shape (len(rows), n_embedding).

    The rows pass in blocks of one fixed shape, so that a row's bits do not depend on its
    neighbours, on their number or on how many threads share the work. ``check`` sees every
    block of standardised rows first.
    """
    moved = _on(encoder, device)
    out = np.empty((len(rows), encoder.n_embedding), dtype=np.float32)
    for i, block in enumerate(rows.blocks()):
        check(block)
        z = moved(torch.from_numpy(block).to(device)).cpu().numpy()
        here = out[i * BLOCK : (i + 1) * BLOCK]
        here[:] = z[: len(here)]
    return out


@torch.no_grad()
def first_layer(encoder: Encoder, rows: Rows, device: torch.device) -> torch.Tensor:
    """Return the first layer's output of every row, a CPU tensor: all that BatchNorm needs."""
    moved = _on(encoder, device)
    blocks = [moved.input([torch.from_numpy(block).to(device)])[0].cpu() for block in rows.blocks()]
    return torch.cat(blocks)[: len(rows)]


def _on(encoder: Encoder, device: torch.device) -> Encoder:
    return encoder if device.type == "cpu" else copy.deepcopy(encoder).to(device)
