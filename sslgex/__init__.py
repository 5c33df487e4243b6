"""Self-supervised pretraining for gene expression, as scikit-learn estimators."""

from .byol import ByolTransformer
from .scarf import ScarfTransformer
from .vime import VimeTransformer

__version__ = "0.1.0"
__all__ = ["ByolTransformer", "ScarfTransformer", "VimeTransformer"]
