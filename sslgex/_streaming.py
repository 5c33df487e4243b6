"""What `fit` takes from a matrix on disk before training: statistics, and rows drawn at random."""

import numpy as np

from ._checkpointing import CheckpointedFit
from ._inputs import check_statistics
from ._on_disk import check_finite
from ._sources import Chain, Sliced, Source
from ._training.seeds import Seeds
from ._training.stream import Drawn, check_blocks, draw, n_drawn, survey


def draw_rows(
    estimator, source: Source, more: list, seeds: Seeds, kept: CheckpointedFit
) -> tuple[Drawn, tuple]:
    """Read a source once; set the statistics, and return rows drawn from it and their split.

    Parameters
    ----------
    estimator : BaseSSLTransformer
        Being fitted.
    source : Source
        Its X.
    more : list of matrices
        Its checked X_unlabeled; they become part of the source.
    seeds : Seeds
        For the split and the draw.
    kept : CheckpointedFit
        Is shown the source, and all its rows in order as dense blocks.

    Returns
    -------
    rows : Drawn
        In memory.
    split : pair of ndarrays of int
        Which of these may be donors, and which are held out (or None).
    """
    if more:
        parts = [Sliced(matrix, f"X_unlabeled[{i}]") for i, matrix in enumerate(more)]
        source = Chain([source, *parts])
    check_blocks(source)
    kept.see_source(source)
    train, held_out = estimator._split(len(source), seeds, n_drawn(source))
    donors = draw(train, n_drawn(source), seeds.integer("donors"))
    drawn = donors if held_out is None else np.sort(np.concatenate([donors, held_out]))

    def check(block: np.ndarray, start: int) -> None:
        check_finite(estimator, block, start)

    def check_and_see(block: np.ndarray, start: int) -> None:
        check(block, start)
        kept.see(block)

    statistics, matrix = survey(source, drawn, check_and_see)
    check_statistics(estimator, statistics, len(source))
    estimator._standardise_by(statistics)
    # Again in every epoch: the file may have changed meanwhile.
    rows = Drawn(matrix, estimator.mean_, estimator.scale_, source, held_out, check)
    places = None if held_out is None else np.searchsorted(drawn, held_out)
    return rows, (np.searchsorted(drawn, donors), places)
