"""What an audit for leaks found."""

from dataclasses import dataclass
from textwrap import wrap
from typing import NamedTuple

from ._results import require_pandas

WIDTH = 88  # of the printed report


class Finding(NamedTuple):
    """One way in which the test rows get into what is fitted.

    Attributes
    ----------
    step : str
        Name of the step, "cv" for the split itself or "all steps" for the procedure as a whole.
    what : str
        What leaks.
    evidence : dict of str to float
        The numbers behind it.
    cure : str
        What to do.
    """

    step: str
    what: str
    evidence: dict[str, float]
    cure: str


@dataclass(frozen=True, repr=False)
class LeakageReport:
    """What `audit_leakage` found.

    Attributes
    ----------
    steps : list of str
        Names of the steps, in their order.
    n_samples, n_splits : int
        Number of rows, and of splits of `cv`.
    findings : list of Finding
        The leaks: tuples (step, what, evidence, cure).
    notes : list of str
        What could not be told; neither a leak nor a clean bill.
    unaudited : list of str
        Names of the steps of which could not be told what they let through; the notes say why.
    """

    steps: list[str]
    n_samples: int
    n_splits: int
    findings: list[Finding]
    notes: list[str]
    unaudited: list[str]

    @property
    def clean(self) -> bool:
        """bool : No finding, and every step could be audited. Read the notes too."""
        return not self.findings and not self.unaudited

    def to_frame(self):
        """Return one row per finding.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "step", "what", "evidence" (a dict) and "cure".

        Raises
        ------
        ImportError
            Without pandas.
        """
        frame = require_pandas("to_frame").DataFrame
        return frame(self.findings, columns=list(Finding._fields))

    def __repr__(self) -> str:
        found = "clean"
        if self.unaudited:
            found = f"{_count(len(self.unaudited), 'step')} could not be audited"
            found = found if self.findings else f"not clean: {found}"
        if self.findings:
            leaks = _count(len(self.findings), "leak")
            found = f"{leaks}, {found}" if self.unaudited else leaks
        lines = [
            f"LeakageReport: {found}, {_count(len(self.notes), 'note')}",
            f"{self.n_samples:,} samples, {_count(self.n_splits, 'split')}; "
            f"steps: {', '.join(self.steps)}",
        ]
        width = max((len(finding.step) for finding in self.findings), default=0) + 2
        for step, what, evidence, cure in self.findings:
            numbers = "; ".join(f"{name}: {value:,.4g}" for name, value in evidence.items())
            lines += _column(step.ljust(width), what, numbers, f"Cure: {cure}")
        for note in self.notes:
            lines += _column("Note: ", note)
        return "\n".join(lines)


def _column(label: str, *texts: str) -> list[str]:
    """Return texts below each other, broken into lines, with a label at the left."""
    lines = [line for text in texts for line in wrap(text, WIDTH - len(label))]
    return [(label if i == 0 else " " * len(label)) + line for i, line in enumerate(lines)]


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
