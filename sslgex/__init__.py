"""Self-supervised pretraining for gene expression, as scikit-learn estimators."""

from . import datasets, evaluation, plotting, preprocessing
from ._resources import ResourceEstimate, estimate_resources
from ._versions import show_versions
from .byol import ByolTransformer
from .classifier import SSLClassifier
from .persistence import load, save
from .scarf import ScarfTransformer
from .vime import VimeTransformer

__version__ = "0.1.0"
__all__ = [
    "ByolTransformer",
    "ResourceEstimate",
    "SSLClassifier",
    "ScarfTransformer",
    "VimeTransformer",
    "datasets",
    "estimate_resources",
    "evaluation",
    "load",
    "plotting",
    "preprocessing",
    "save",
    "show_versions",
]
