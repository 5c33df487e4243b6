"""Does pretraining pay? Label-efficiency curves, baselines, and a verdict with statistics."""

from ._baselines import default_baselines
from ._comparison import Comparison, compare
from ._label_efficiency import label_efficiency_curve
from ._leakage import audit_leakage
from ._leakage_report import LeakageReport
from ._results import LabelEfficiencyResults
from ._variance import mean_scores

__all__ = [
    "Comparison",
    "LabelEfficiencyResults",
    "LeakageReport",
    "audit_leakage",
    "compare",
    "default_baselines",
    "label_efficiency_curve",
    "mean_scores",
]
