"""Datasets: real breast cancer profiles, a simulator, builders of the study's sets."""

from sslgex.datasets._archs4 import build_archs4
from sslgex.datasets._cache_rows import cache_rows, samples_first
from sslgex.datasets._common import common_genes
from sslgex.datasets._read_expression import read_expression
from sslgex.datasets._simulator import make_expression
from sslgex.datasets._split import paper_split
from sslgex.datasets._tcga import build_tcga
from sslgex.datasets._tcga_brca import load_tcga_brca

__all__ = [
    "build_archs4",
    "build_tcga",
    "cache_rows",
    "common_genes",
    "load_tcga_brca",
    "make_expression",
    "paper_split",
    "read_expression",
    "samples_first",
]
