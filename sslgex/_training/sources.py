"""Which source the batches of a training come from."""

import numpy as np
import torch

from .resident import ResidentRows, ResidentSource, fits
from .rows import Rows
from .seeds import Seeds
from .stream import Drawn, StreamSource
from .views import BatchSource, MemorySource


def make_sources(
    rows: Rows,
    train: np.ndarray,
    held_out: np.ndarray | None,
    *,
    batch_size: int,
    seeds: Seeds,
    device: torch.device,
) -> tuple[BatchSource, BatchSource | None]:
    """Return the batches to train on and, if rows are held out, those to validate on.

    Parameters
    ----------
    rows : Rows
        In memory. If they are `Drawn` from a larger source, batches to train on come from that.
    train, held_out : ndarray of int
        Rows to train on, from which the donors of both sources come, and rows to validate on.
    batch_size : int
        Rows per batch; clipped to the number of those to train on.
    seeds : Seeds
        For "batches" and "validation".
    device : torch.device
        Where the views go. If it draws and has room for the rows, they are kept there.
    """
    seed, seed_held_out = seeds.integer("batches"), seeds.integer("validation")
    size = min(batch_size, len(train))
    n = len(train) + (0 if held_out is None else len(held_out))
    source: BatchSource
    if isinstance(rows, Drawn):
        source = StreamSource(rows, train, batch_size=batch_size, seed=seed, device=device)
    elif seeds.drawn_on(device) and fits(n, rows.n_features, device):
        kept = ResidentRows(rows, train, held_out, device)
        source = ResidentSource(kept, batch_size=size, seed=seed)
        if held_out is None:
            return source, None
        return source, ResidentSource(kept, batch_size=size, seed=seed_held_out, held_out=True)
    else:
        source = MemorySource(rows, train, batch_size=size, seed=seed, device=device)
    if held_out is None:
        return source, None
    return source, MemorySource(
        rows, train, batch_size=size, seed=seed_held_out, device=device, held_out=held_out
    )
