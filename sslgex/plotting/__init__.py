"""Pictures of what `evaluation` returns, and of training losses, as Displays."""

from ._alignment import AlignmentUniformityDisplay
from ._architecture import ArchitectureDisplay
from ._convergence import ConvergenceDisplay
from ._gain import GainDisplay
from ._label_efficiency import LabelEfficiencyDisplay
from ._label_preservation import LabelPreservationDisplay
from ._loss_curve import LossCurveDisplay
from ._pretraining_size import PretrainingSizeDisplay
from ._spectrum import SpectrumDisplay

__all__ = [
    "AlignmentUniformityDisplay",
    "ArchitectureDisplay",
    "ConvergenceDisplay",
    "GainDisplay",
    "LabelEfficiencyDisplay",
    "LabelPreservationDisplay",
    "LossCurveDisplay",
    "PretrainingSizeDisplay",
    "SpectrumDisplay",
]
