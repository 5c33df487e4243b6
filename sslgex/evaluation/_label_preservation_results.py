"""What corruption left of the classes that classifiers see, as plain data."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from ._held_out import table
from ._results import require_pandas


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LabelPreservation:
    """What corruption leaves of the classes that classifiers see.

    Attributes
    ----------
    entries : list of str
        Names of the estimators, in the order given.
    rates : ndarray of shape (n_rates,)
        Corruption rates, ascending.
    preserved : dict of str to ndarray of shape (n_rates, 3)
        Per estimator the share of held-out samples whose class is that of the clean sample, and
        the ends of its interval.
    still_right : dict of str to ndarray of shape (n_rates, 3)
        The same share of those samples alone whose clean class is right; NaN where there are none.
        Empty without `y`.
    accuracy : dict of str to ndarray of shape (n_rates, 3)
        Share of corrupted samples whose class is right. Empty without `y`.
    clean_accuracy : dict of str to ndarray of shape (3,)
        The same of clean samples. Empty without `y`.
    chance : dict of str to float
        What is preserved at a rate of 1, where nothing of the sample is left.
    per_sample : dict of str to ndarray of shape (n_rates, n_tests)
        Share of the repeats in which each held-out sample kept its class, split after split.
    units : ndarray of shape (n_tests,), int
        Codes of the samples, or of their groups, that the intervals take for independent.
    n_repeats : int
        Corruptions of every sample at every rate.
    level : float
        Confidence level of the intervals.
    """

    entries: list[str]
    rates: np.ndarray
    preserved: dict[str, np.ndarray]
    still_right: dict[str, np.ndarray]
    accuracy: dict[str, np.ndarray]
    clean_accuracy: dict[str, np.ndarray]
    chance: dict[str, float]
    per_sample: dict[str, np.ndarray]
    units: np.ndarray
    n_repeats: int
    level: float

    def rate_kept(self, share=0.95) -> dict[str, float]:
        """Return how strong the corruption may be.

        Parameters
        ----------
        share : float in (0, 1], default=0.95
            Share of the samples whose class is to be preserved.

        Returns
        -------
        rates : dict of str to float
            Per estimator the largest rate at which at least this share is preserved, on average:
            of a decreasing (isotonic) fit to the curve from (0, 1) to (1, chance), by straight
            lines between the rates. 1 where `chance` is that high: then it says nothing of the
            corruption.

        Raises
        ------
        ValueError
            If `share` is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, such as 0.95, got {share!r}.")
        inside = self.rates < 1
        x = np.array([0.0, *self.rates[inside], 1.0])
        found = {}
        for name, kept in self.preserved.items():
            curve = np.array([1.0, *kept[inside, 0], self.chance[name]])
            curve = isotonic_regression(curve, increasing=False).x
            k = np.flatnonzero(curve >= share - 1e-12)[-1]
            found[name] = float(x[k])
            if k + 1 < len(x):
                step = max(curve[k] - share, 0.0) / (curve[k] - curve[k + 1])
                found[name] += float(step * (x[k + 1] - x[k]))
        return found

    def to_frame(self):
        """Return one row per estimator and rate.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "rate", "preserved", "preserved_low", "preserved_high" and
            "chance"; with labels "still_right" and "accuracy" too, each with its "_low" and
            "_high".

        Raises
        ------
        ImportError
            Without pandas.
        """
        names = np.array(list(self.preserved), dtype=object)
        columns = {
            "entry": np.repeat(names, len(self.rates)),
            "rate": np.tile(self.rates, len(names)),
        }
        for what in ("preserved", "still_right", "accuracy"):
            found = getattr(self, what)
            if found:
                values = np.concatenate(list(found.values()))
                for end, column in zip(("", "_low", "_high"), values.T, strict=True):
                    columns[f"{what}{end}"] = column
        columns["chance"] = np.repeat(list(self.chance.values()), len(self.rates))
        return require_pandas("to_frame").DataFrame(columns)

    def __repr__(self) -> str:
        up_to = self.rate_kept(0.95)
        rows = [["corruption rate", *(f"{rate:g}" for rate in self.rates), "chance", "95 % up to"]]
        for name, kept in self.preserved.items():
            shares = [*kept[:, 0], self.chance[name]]
            rows.append([name, *(f"{share:.3f}" for share in shares), f"{up_to[name]:.2f}"])
        n, times = len(self.units), f"{self.n_repeats} repeat{'s' * (self.n_repeats > 1)}"
        head = f"Share of predicted classes preserved: {n:,} held-out samples, {times}"
        return "\n".join([head, *table(rows)])
