"""Datasets that need no download: real breast cancer profiles and a simulator."""

from sslgex.datasets._simulator import make_expression
from sslgex.datasets._tcga_brca import load_tcga_brca

__all__ = ["load_tcga_brca", "make_expression"]
