"""Whether one entry is better than another, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from ._metrics import METRICS
from ._results import CurveResults, area_weights, join, require_pandas
from ._variance import Curves, estimate, half_width

N_SAMPLES = 2000
MOST_SHOWN = 20  # rows of a printed table
MOST_LOST = 0.1  # of the fits, before a verdict on the others could be one on the easy ones
AREAS = {"mean": "mean gain", "integral": "area", "relative": "relative area"}


@dataclass(frozen=True, repr=False)
class Comparison:
    """Entry `a` against entry `b`.

    Attributes
    ----------
    a, b : str
        Names of the entries.
    metric : str
        What is compared; greater is better.
    level : float
        Of the intervals.
    axis : {"labels", "epochs", "profiles"}
        What the curves go along.
    label_sizes : ndarray of shape (n_sizes,)
        Counts or proportions of labelled samples; of other curves their epochs or sizes.
    difference : ndarray of shape (n_sizes,)
        Mean score of `a` minus that of `b`.
    interval : ndarray of shape (n_sizes, 2)
        Of the difference, for each size by itself.
    simultaneous_interval : ndarray of shape (n_sizes, 2)
        Wider, such that all of them hold together.
    verdicts : list of str
        For each size "helps", "hurts" or "cannot tell", by the simultaneous interval.
    gain : float
        The area between the curves from `lo` to `hi`, as `area` says.
    gain_interval : tuple of float
        Its interval.
    area : {"mean", "integral", "relative"}
        What the area is divided by.
    lo, hi : int or float
        The range of sizes.
    labels_saved : float
        Share of the labels (or epochs, or profiles) that `b` needs for its best score and `a` does
        not; NaN if `a` does not reach it.
    labels_saved_interval : tuple of float
        Its interval; -inf where `a` may not reach it, NaN if one of the two is level.
    verdict : {"helps", "hurts", "cannot tell"}
        Whether `gain_interval` is above 0, below or neither.
    notes : list of str
        What the intervals cannot tell.
    """

    a: str
    b: str
    metric: str
    level: float
    axis: str
    label_sizes: np.ndarray
    difference: np.ndarray
    interval: np.ndarray
    simultaneous_interval: np.ndarray
    verdicts: list[str]
    gain: float
    gain_interval: tuple[float, float]
    area: str
    lo: float
    hi: float
    labels_saved: float
    labels_saved_interval: tuple[float, float]
    verdict: str
    notes: list[str]

    def to_frame(self):
        """Return one row per number of labels.

        Returns
        -------
        frame : pandas.DataFrame
            Columns "size", "difference", "low", "high", "simultaneous_low", "simultaneous_high"
            and "verdict".

        Raises
        ------
        ImportError
            Without pandas.
        """
        columns = [self.label_sizes, self.difference, *self.interval.T]
        columns += [*self.simultaneous_interval.T, self.verdicts]
        names = ["size", "difference", "low", "high", "simultaneous_low", "simultaneous_high"]
        return require_pandas("to_frame").DataFrame(
            dict(zip([*names, "verdict"], columns, strict=True))
        )

    def __repr__(self) -> str:
        lines = [
            f"{self.a} against {self.b}: {self.verdict}",
            f"{self.metric}, {100 * self.level:g} % intervals",
            f"{self.axis:>8}  difference  interval            verdict, all sizes together",
        ]
        rows = list(
            zip(self.label_sizes, self.difference, self.interval, self.verdicts, strict=True)
        )
        shown = np.arange(len(rows))
        if len(rows) > MOST_SHOWN:  # the first ones, where most happens, densely
            shown = np.unique(np.geomspace(1, len(rows), MOST_SHOWN).round().astype(int)) - 1
        for size, d, (low, high), verdict in (rows[k] for k in shown):
            lines.append(f"{size:8g}  {d:+10.3f}  [{low:+.3f}, {high:+.3f}]    {verdict}")
        low, high = self.gain_interval
        lines.append(
            f"{AREAS[self.area]} from {self.lo:g} to {self.hi:g}: "
            f"{self.gain:+.3f} [{low:+.3f}, {high:+.3f}]"
        )
        if not np.isnan(self.labels_saved_interval).all():
            low, high = (_percent(bound) for bound in self.labels_saved_interval)
            lines.append(f"{self.axis} saved: {_percent(self.labels_saved)} [{low}, {high}]")
        return "\n".join([*lines, *self.notes])


def compare(results, a, b, *, metric=None, level=0.95, lo=None, hi=None, area="mean"):
    """Compare two entries of a curve: over labels, epochs or sizes of pretraining.

    Parameters
    ----------
    results : results or list of them
        What `label_efficiency_curve`, `convergence_curve` or `pretraining_size_curve` returned;
        several if they are of the same data, splits and labelled subsets.
    a, b : str
        Names of the entries; the question is whether `a` is better.
    metric : str or None, default=None
        Any of `label_efficiency_curve`'s metrics; None: the first of its `scoring`.
    level : float in (0, 1), default=0.95
        Confidence level of the intervals.
    lo, hi : int, float or None, default=None
        Range of the gain, in the unit of `label_sizes`; None: all of it.
    area : {"mean", "integral", "relative"}, default="mean"
        The gain: the mean difference over the range (the area between the curves, joined by
        straight lines, divided by its width), the area itself, over shares of what there is
        (training samples, epochs, profiles), or the area relative to that under `b`'s curve.

    Returns
    -------
    comparison : Comparison
        Differences, intervals, labels saved and verdict; printed, it is a table.

    Raises
    ------
    ValueError
        For entries or results that cannot be compared, and for ranges without any size, or
        with one where an area is asked for.

    Notes
    -----
    The target is the expected difference for new labelled subsets, new test samples and a new
    pretraining, all of the same population. Draws and test samples are crossed; the variance is
    estimated by the moments of such designs [1]_, with a term for the finite pool that labelled
    subsets are drawn from and one for what else the splits differ by. With one split the next
    pretraining cannot be foreseen: entries that were pretrained get no verdict then, and nor does
    the calibration error, which is too large by chance to a different degree for each entry.
    Test samples of one group count as one. Metrics that are no means over samples enter by their
    first-order influences. There is no verdict either where all test samples are of one group or
    a tenth of the fits failed. The user guide tells why, and how often it was right on simulated
    data.

    The simultaneous intervals are at the common level at which all hold together. Labels
    saved are read from increasing (isotonic) fits to both curves, between sizes by straight lines;
    their interval is of the same on 2,000 curves drawn from the estimated error.

    References
    ----------
    .. [1] Chen, Gallas, Yousef (2012). Classifier variability: accounting for training and
       testing. Pattern Recognition 45.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.dummy import DummyClassifier
    >>> from sslgex import SSLClassifier
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.evaluation import compare, label_efficiency_curve
    >>> X, y = make_expression(n_samples=150, n_genes=50, return_X_y=True, random_state=0)
    >>> pca = SSLClassifier(PCA(5), mode="frozen", head="linear")
    >>> entries = {"PCA": pca, "chance": DummyClassifier()}
    >>> results = label_efficiency_curve(
    ...     entries, X, y, label_sizes=[20, 40], n_draws=3, cv=3, random_state=0
    ... )
    >>> comparison = compare(results, "PCA", "chance")
    >>> comparison.verdict
    'helps'
    """
    if not isinstance(results, CurveResults):
        results = join(results)
    metric = results.scoring[0] if metric is None else metric
    _check(results, a, b, metric, level, area)
    curves = estimate(results, [a, b], metric)
    sign = np.array([1.0, -1.0])
    difference = sign @ curves.mean
    covariance = curves.covariance(sign)
    m = len(difference)
    errors = [curves.contrast(np.outer(sign, np.eye(m)[k])) for k in range(m)]
    half = np.array([half_width(*error, level) for error in errors])
    each = _level_of_each(covariance, level)
    wide = np.array([half_width(*error, each) for error in errors])
    simultaneous = np.stack([difference - wide, difference + wide], axis=1)

    weights, lo, hi = _area_weights(results, ~np.isnan(difference), lo, hi, area)
    gain = float(np.nan_to_num(difference) @ weights)
    variance, dof = curves.contrast(np.outer(sign, weights))
    if area == "relative":
        under = abs(float(np.nan_to_num(curves.mean[1]) @ weights))  # of a negated loss too
        if under == 0:
            raise ValueError(f"The area under {b!r} is 0: no gain is relative to it. Take 'mean'.")
        gain /= under
        # d = (a - b) / |b| moves with a / |b| and, against it, with b (1 + d) / |b|, or, of
        # negative scores, b (1 - d) / |b|.
        negative = np.nanmean(curves.mean[1]) < 0
        own = -1.0 + gain if negative else -1.0 - gain
        variance, dof = curves.contrast(np.outer([1.0, own], weights) / under)
    margin = half_width(variance, dof, level)
    lost = _lost(results, a, b, metric)
    reasons = _why_no_verdict(results, a, b, metric, lost)
    rise = rise_to_best if results.axis == "epochs" else _rise
    level_entries = [name for name in (a, b) if name in getattr(results, "levels", [])]
    saved, saved_interval = np.nan, (np.nan, np.nan)
    if not level_entries:
        saved, saved_interval = _labels_saved(curves, results.positions, level, rise)
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        level=level,
        axis=results.axis,
        label_sizes=results.sizes,
        difference=difference,
        interval=np.stack([difference - half, difference + half], axis=1),
        simultaneous_interval=simultaneous,
        verdicts=[_verdict(*bounds, open=bool(reasons)) for bounds in simultaneous],
        gain=gain,
        gain_interval=(gain - margin, gain + margin),
        area=area,
        lo=lo,
        hi=hi,
        labels_saved=saved,
        labels_saved_interval=saved_interval,
        verdict=_verdict(gain - margin, gain + margin, open=bool(reasons)),
        notes=[
            *reasons,
            *_notes(results, lost),
            *(f"{name!r} is level: it has no {results.axis} to save." for name in level_entries),
        ],
    )


def _check(results: CurveResults, a, b, metric, level, area) -> None:
    for name in (a, b):
        if name not in results.entries:
            raise ValueError(f"There is no entry {name!r}; there are {results.entries}.")
    if a == b:
        raise ValueError(f"a and b are the same entry, {a!r}.")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {list(METRICS)}, got {metric!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")
    if area not in AREAS:
        raise ValueError(f"area must be one of {list(AREAS)}, got {area!r}.")
    for name in (a, b):
        if np.isnan(results.scores(metric)[name]).all():
            raise ValueError(
                f"{name!r} has no {metric}: its fits failed, or it has no predict_proba."
            )


def _why_no_verdict(results: CurveResults, a, b, metric, lost: float) -> list[str]:
    """Return why the intervals decide nothing, if they do not."""
    reasons = []
    one_split, groups = len(results.splits) == 1, results.groups
    if one_split and (results.pretrain_seconds[a] + results.pretrain_seconds[b]):
        reasons.append(
            "No verdict: one split has one pretraining, and the next may turn out otherwise. The "
            "intervals are of these encoders. Take cv=5."
        )
    if one_split and groups is not None and len(np.unique(groups[results.splits[0][1]])) == 1:
        reasons.append(
            "No verdict: all test samples are of one group, and the next may differ by any amount."
        )
    if lost > MOST_LOST:
        reasons.append(
            f"No verdict: {a!r} or {b!r} failed in {100 * lost:.0f} % of the draws, which may be "
            "the hard ones."
        )
    if metric == "neg_calibration_error":
        reasons.append(
            "No verdict: by chance alone the calibration error comes out too large, more so for "
            "entries of varied confidence."
        )
    return reasons


def _lost(results: CurveResults, a: str, b: str, metric: str) -> float:
    """Return the share of draws that are left out, of the sizes that are compared at all."""
    missing = np.isnan(results.scores(metric)[a]) | np.isnan(results.scores(metric)[b])
    compared = ~missing.all(axis=(0, 2))
    return float(missing[:, compared].mean()) if compared.any() else 0.0


def _notes(results: CurveResults, lost: float) -> list[str]:
    """Return what the intervals cannot tell."""
    notes = []
    if 0 < lost <= MOST_LOST:
        notes.append(f"{100 * lost:.0f} % of the draws are left out, as a fit failed there.")
    if results.protocol != "resample":
        notes.append("The labels were drawn once: the intervals tell nothing of other labels.")
    elif (results.n_labels == [[len(train)] for train, _ in results.splits]).all():
        notes.append("All training samples have labels: the intervals tell nothing of others.")
    return notes


def _level_of_each(covariance: np.ndarray, level: float) -> float:
    """Return the level for each of several intervals that makes them hold together."""
    error = np.sqrt(np.diag(covariance))
    scale = np.where(error > 0, error, 1.0)  # 0 where the two never differ
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    rng = np.random.default_rng(0)
    root = vectors * np.sqrt(np.maximum(values, 0))
    z = rng.standard_normal((20_000, len(error))) @ root.T
    largest = float(np.quantile(np.abs(z).max(axis=1), level))
    return max(float(2 * stats.norm.cdf(largest) - 1), level)


def _area_weights(results: CurveResults, known: np.ndarray, lo, hi, area: str):
    """Return the weights of the sizes in the area between two curves, and the range."""
    sizes = results.sizes
    lo = sizes[0] if lo is None else lo
    hi = sizes[-1] if hi is None else hi
    inside = (sizes >= lo) & (sizes <= hi) & known
    if not inside.any():
        raise ValueError(
            f"No size is between lo={lo} and hi={hi}; both were fitted with "
            f"{sizes[known].tolist()}."
        )
    weights = area_weights(results.positions, inside)
    if area == "integral":
        width = np.ptp(results.positions[inside]) / results.whole
        if width == 0:
            raise ValueError("An area needs two sizes or more between lo and hi.")
        weights *= width
    return weights, sizes[inside][0], sizes[inside][-1]


def _labels_saved(curves: Curves, positions: np.ndarray, level: float, rise):
    """Return the share of labels, or whatever there is, saved, and its interval."""
    known = ~np.isnan(curves.mean).any(axis=0)
    positions = positions[known]

    def saved(a: np.ndarray, b: np.ndarray) -> float:
        a, b = rise(a), rise(b)
        return 1 - reach(positions, a, b[-1]) / reach(positions, b, b[-1])

    point = saved(*curves.mean[:, known])
    samples = curves.sample(N_SAMPLES, np.random.default_rng(0))[:, :, known]
    shares = np.array([saved(a, b) for a, b in samples])
    tail = (1 - level) / 2
    low, high = np.quantile(shares, [tail, 1 - tail], method="inverted_cdf")
    return (float(point) if np.isfinite(point) else np.nan), (float(low), float(high))


def _rise(curve: np.ndarray) -> np.ndarray:
    """Return the increasing fit to a curve."""
    return isotonic_regression(curve).x


def rise_to_best(curve: np.ndarray) -> np.ndarray:
    """Return the increasing fit to a curve up to its highest point.

    What comes after it, as overfitting does after the best epoch, takes nothing back.
    """
    return isotonic_regression(curve[: np.argmax(curve) + 1]).x


def reach(positions: np.ndarray, curve: np.ndarray, target: float) -> float:
    """Return which position an increasing curve needs for a score; inf if it does not reach it."""
    reached = np.flatnonzero(curve >= target - 1e-12)
    if not len(reached):
        return np.inf
    k = reached[0]
    if k == 0:
        return positions[0]
    step = (target - curve[k - 1]) / (curve[k] - curve[k - 1])
    return positions[k - 1] + min(step, 1.0) * (positions[k] - positions[k - 1])


def _verdict(low: float, high: float, *, open: bool) -> str:
    if open:
        return "cannot tell"
    return "helps" if low > 0 else "hurts" if high < 0 else "cannot tell"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "not reached"
