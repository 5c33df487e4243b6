"""Does pretraining pay, what has an encoder learned, does anything leak? With statistics."""

from ._alignment import AlignmentUniformity, alignment_uniformity
from ._architecture import ArchitectureResults, architecture_sweep
from ._baselines import default_baselines
from ._comparison import Comparison, compare
from ._convergence import convergence_curve
from ._convergence_results import ConvergenceResults
from ._label_efficiency import label_efficiency_curve
from ._label_preservation import label_preservation
from ._label_preservation_results import LabelPreservation
from ._leakage import audit_leakage
from ._leakage_report import LeakageReport
from ._pretraining_size import PretrainingSizeResults, pretraining_size_curve
from ._results import LabelEfficiencyResults
from ._spectrum import EmbeddingSpectrum, embedding_spectrum
from ._variance import mean_scores

__all__ = [
    "AlignmentUniformity",
    "ArchitectureResults",
    "Comparison",
    "ConvergenceResults",
    "EmbeddingSpectrum",
    "LabelEfficiencyResults",
    "LabelPreservation",
    "LeakageReport",
    "PretrainingSizeResults",
    "alignment_uniformity",
    "architecture_sweep",
    "audit_leakage",
    "compare",
    "convergence_curve",
    "default_baselines",
    "embedding_spectrum",
    "label_efficiency_curve",
    "label_preservation",
    "mean_scores",
    "pretraining_size_curve",
]
