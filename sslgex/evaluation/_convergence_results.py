"""What a convergence curve found, as plain data."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ._comparison import N_SAMPLES, reach, rise_to_best
from ._results import CurveResults
from ._variance import estimate

MOST_SHOWN = 8  # epochs in a printed table


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ConvergenceResults(CurveResults):
    """Predictions of every entry for every split, epoch of fine-tuning and draw.

    Attributes
    ----------
    <shared attributes>
    epochs : ndarray of shape (n_epochs,), int
        1, 2, ..., the number of epochs.
    label_size : int or float
        Labelled samples, as asked for: a count, or a proportion of the training samples.
    levels : list of str
        Entries without epochs, whose scores are the same at all of them.

    Notes
    -----
    A size is an epoch; the labelled samples are the same in all of them, and so are the seconds,
    which are of the whole fit without the predictions of test samples.
    """

    title = "Convergence"
    axis = "epochs"

    epochs: np.ndarray
    label_size: float
    levels: list[str]

    @property
    def sizes(self) -> np.ndarray:
        """ndarray of shape (n_epochs,) : The epochs."""
        return self.epochs

    @property
    def positions(self) -> np.ndarray:
        """ndarray of shape (n_epochs,) : The epochs."""
        return self.epochs

    @property
    def whole(self) -> float:
        """float : The number of epochs."""
        return float(self.epochs[-1])

    def epochs_to(self, score=None, *, of=None, metric=None, level=0.95):
        """Return how many epochs every entry needs for a score.

        Parameters
        ----------
        score : float or None, default=None
            The mean score to reach; give this or `of`.
        of : str or None, default=None
            Name of an entry whose best mean score is to be reached, such as that of the network
            from scratch. Its error is part of the intervals.
        metric : str or None, default=None
            Any of `label_efficiency_curve`'s metrics; None: the first of `scoring`.
        level : float in (0, 1), default=0.95
            Confidence level of the intervals.

        Returns
        -------
        needed : dict of str to (epochs, low, high)
            Epochs, and the ends of their interval; inf: more than there were. 1 is the least there
            is, also for entries without epochs that have the score. NaN for entries without scores.

        Raises
        ------
        ValueError
            Unless one of `score` and `of` is given, for unknown names, metrics and levels, and for
            results with one draw only.

        Notes
        -----
        Epochs are read from an increasing (isotonic) fit to the mean scores up to the best one,
        as what comes after it (overfitting) takes nothing back; between epochs by straight lines.
        The interval is of the same on 2,000 curves drawn from the estimated error.

        Examples
        --------
        >>> from sslgex import ScarfTransformer, SSLClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.evaluation import convergence_curve
        >>> X, y = make_expression(n_samples=120, n_genes=30, return_X_y=True, random_state=0)
        >>> scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
        >>> entries = {
        ...     "scratch": SSLClassifier(hidden_layer_sizes=(8,)),
        ...     "SCARF": SSLClassifier(scarf, head="linear"),
        ... }
        >>> results = convergence_curve(
        ...     entries, X, y, label_size=20, max_epochs=3, n_draws=2, cv=2, random_state=0
        ... )
        >>> epochs, low, high = results.epochs_to(of="scratch")["SCARF"]
        >>> low <= epochs <= high
        True
        """
        if (score is None) == (of is None):
            raise ValueError(
                f"Give a score or the entry whose best it is, one of the two: got score={score!r}, "
                f"of={of!r}."
            )
        if of is not None and of not in self.entries:
            raise ValueError(f"There is no entry {of!r}; there are {self.entries}.")
        if score is not None and not np.isfinite(score):
            raise ValueError(f"score must be a finite number, got {score!r}.")
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")
        metric = self.scoring[0] if metric is None else metric
        return {name: self._epochs_to(name, score, of, metric, level) for name in self.entries}

    def _epochs_to(self, name: str, score, of, metric: str, level: float):
        names = [name] if of in (None, name) else [name, of]
        curves = estimate(self, names, metric)
        known = ~np.isnan(curves.mean).any(axis=0)
        if not known.any():
            return np.nan, np.nan, np.nan
        epochs = self.epochs[known]

        def needed(curve: np.ndarray) -> float:
            target = curve[-1].max() if score is None else score
            return float(reach(epochs, rise_to_best(curve[0]), target))

        samples = curves.sample(N_SAMPLES, np.random.default_rng(0))[:, :, known]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile([needed(s) for s in samples], tails, method="inverted_cdf")
        return needed(curves.mean[:, known]), float(low), float(high)

    @classmethod
    def join(cls, results) -> Self:
        """Return results of several sweeps as one.

        Parameters
        ----------
        results : list of ConvergenceResults
            Of the same data, splits, labelled subsets and epochs, with different entries.

        Returns
        -------
        joined : ConvergenceResults
            All entries.

        Raises
        ------
        ValueError
            If the sweeps differ, or entries have equal names.
        """
        results = list(results)
        lengths = [len(part.epochs) for part in results if isinstance(part, cls)]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"These results are of {lengths} epochs: run all with the same max_epochs."
            )
        levels = [name for part in results if isinstance(part, cls) for name in part.levels]
        return replace(super().join(results), levels=levels)

    def to_frame(self):
        """Return one row per entry, split, epoch and draw.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "entry", "split", "epoch", "n_labels", "draw", one per metric, and the seconds
            of pretraining (the same in all rows of a split) and of the whole fit (the same in all
            epochs).

        Raises
        ------
        ImportError
            Without pandas.
        """
        return super().to_frame().rename(columns={"size": "epoch"})

    def __repr__(self) -> str:
        n = len(self.epochs)
        shown = np.arange(n)
        if n > MOST_SHOWN:  # the early ones, where most happens, densely
            shown = np.unique(np.geomspace(1, n, MOST_SHOWN).round().astype(int)) - 1
        metric = self.scoring[0]
        kept = {(name, metric): s[:, shown] for name, s in self.scores(metric).items()}
        table = CurveResults.__repr__(replace(self, epochs=self.epochs[shown], _kept=kept))
        return f"{table}\nby epoch of fine-tuning, label_size={self.label_size:g}"
