"""Pictures of label-efficiency curves, of verdicts and of training losses, as Displays."""

from ._gain import GainDisplay
from ._label_efficiency import LabelEfficiencyDisplay
from ._loss_curve import LossCurveDisplay

__all__ = ["GainDisplay", "LabelEfficiencyDisplay", "LossCurveDisplay"]
