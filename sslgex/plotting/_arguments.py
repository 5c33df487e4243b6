"""Arguments of the displays, checked before a sweep is run for them."""

from ..evaluation import LabelEfficiencyResults, label_efficiency_curve
from ..evaluation._entries import check_estimators
from ._style import METRICS, require_pyplot


def join(results, kind=LabelEfficiencyResults, sweep=label_efficiency_curve):
    """Return the results, of several sweeps as one.

    Parameters
    ----------
    results : results or list of them
        As the user gave them.
    kind : type, default=LabelEfficiencyResults
        What they must be.
    sweep : callable, default=label_efficiency_curve
        What returns such.
    """
    if isinstance(results, kind):
        return results
    if not isinstance(results, list | tuple):
        raise TypeError(
            f"results must be what {sweep.__name__} returned, or a list of such, got {results!r}."
        )
    return kind.join(results)


def check_names(asked, there, what: str) -> list[str]:
    """Return names of entries, each once; None: all there are."""
    if asked is None:
        return list(there)
    names = list(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(f"{what} has {missing}, but there are only {list(there)}.")
    if what == "entries" and not names:
        raise ValueError("entries is empty: name at least one, or pass None for all.")
    return names


def check_metric(metric) -> None:
    """Raise for an unknown metric."""
    if metric is not None and metric not in METRICS:
        raise ValueError(f"metric must be one of {list(METRICS)}, got {metric!r}.")


def check_level(level) -> None:
    """Raise for what is no confidence level."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")


def check_before_sweep(display: type, estimators, *, n_draws, metric, level, **names) -> None:
    """Raise now for what would raise when the fits are done and nobody holds the results."""
    require_pyplot(display.__name__)
    check_metric(metric)
    check_level(level)
    if n_draws == 1:
        raise ValueError("One draw of labels tells nothing of the next: take n_draws=2 or more.")
    there = check_estimators(estimators)
    for what, asked in names.items():
        check_names(asked, there, what)
