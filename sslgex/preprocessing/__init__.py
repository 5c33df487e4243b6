"""Steps from a matrix of expression values to what an encoder takes, learned in `fit` only."""

from ._aligner import GeneAligner
from ._batch import BatchCorrector
from ._gene_filter import GeneFilter
from ._log_counts import LogCounts
from ._quantile import QuantileNormalizer
from ._rank import RankNormalizer

__all__ = [
    "BatchCorrector",
    "GeneAligner",
    "GeneFilter",
    "LogCounts",
    "QuantileNormalizer",
    "RankNormalizer",
]
