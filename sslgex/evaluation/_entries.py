"""The entries of a sweep: estimators by their names, checked before anything runs."""

from collections.abc import Mapping

from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator

from .._encoders import is_fitted
from .._training.warning import warn_user
from ..base import BaseSSLTransformer
from ..classifier import SSLClassifier


def check_estimators(estimators) -> dict:
    """Return the estimators by name; a single one is named by its class."""
    if hasattr(estimators, "get_params") and not isinstance(estimators, type):
        return {type(estimators).__name__: estimators}
    try:
        pairs = list(estimators.items() if isinstance(estimators, Mapping) else estimators)
        entries = {str(name): estimator for name, estimator in pairs}
    except (TypeError, ValueError):
        raise TypeError(
            "estimators must be an estimator, a dict of names and estimators, or a list of such "
            f"pairs, got {estimators!r}."
        ) from None
    if not entries:
        raise ValueError("estimators is empty: name at least one.")
    if len(entries) < len(pairs):
        raise ValueError(f"Names must be unique, got {[name for name, _ in pairs]}.")
    for name, entry in entries.items():
        if isinstance(entry, type):
            raise TypeError(f"{name!r} is the class {entry.__name__}; pass an instance of it.")
        if not hasattr(entry, "get_params"):
            raise TypeError(f"{name!r} is {entry!r}, which is no scikit-learn estimator.")
    return entries


def check_entries(estimators, *, wrap: bool = False, unfitted: str | None = None) -> dict:
    """Return the entries by name; raise unless all are classifiers.

    Parameters
    ----------
    estimators : classifier, dict of str to classifier, or list of (str, classifier)
        As the user gave them.
    wrap : bool
        Whether a pretrainer stands for ``SSLClassifier(pretrainer)``.
    unfitted : str, optional
        What a fitted encoder does not allow: raise for one, and say this.
    """
    entries = check_estimators(estimators)
    for name, entry in entries.items():
        if wrap and isinstance(_bare(entry), BaseSSLTransformer):
            entries[name] = entry = SSLClassifier(entry)
        if not is_classifier(entry):
            raise TypeError(
                f"{name!r} is {entry!r}, which is no scikit-learn classifier. A pretrainer goes "
                "into one: SSLClassifier(ScarfTransformer(), mode='frozen')."
            )
        if unfitted and isinstance(entry, SSLClassifier) and is_fitted(entry.encoder):
            raise ValueError(
                f"{name!r} has a fitted encoder, {unfitted}: pass it unfitted, clone(encoder), out "
                "of its FrozenEstimator if it is in one."
            )
        _check_encoders(name, entry)
        _refuse_checkpoints(name, entry)
    return entries


def _bare(estimator):
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _check_encoders(name: str, entry) -> None:
    """Warn of encoders that may have seen test samples, or that nobody pretrains on the pool."""
    inside = [entry, *entry.get_params(deep=True).values()]
    for part in [part for part in inside if isinstance(part, SSLClassifier)]:
        if part.encoder is None or isinstance(part.encoder, FrozenEstimator):
            continue
        if is_fitted(part.encoder):
            warn_user(
                f"{name!r} has a fitted encoder, used as it is: if that was pretrained on samples "
                "that are tested here, its scores are too good. Pass it unfitted, clone(encoder), "
                "to have it fitted within each split, or in a FrozenEstimator if it has seen none "
                "of them."
            )
        elif part is not entry:
            warn_user(
                f"{name!r} has its SSLClassifier inside a {type(entry).__name__}: its encoder is "
                "pretrained on the labelled samples alone, anew for every fit. To use all training "
                "samples make the SSLClassifier the entry, and put what comes before the encoder "
                "into it: SSLClassifier(make_pipeline(scaler, encoder))."
            )


def _refuse_checkpoints(name: str, entry) -> None:
    """Raise for a pretrainer whose fits would all keep their training in one file."""
    for part in entry.get_params(deep=True).values():
        path = getattr(part, "checkpoint", None) if isinstance(part, BaseSSLTransformer) else None
        if path is not None and not is_fitted(part):
            raise ValueError(
                f"{name!r} has a {type(part).__name__} with checkpoint={str(path)!r}, "
                "one file for the many trainings of a sweep. Set checkpoint=None; what is done "
                "with is kept in the sweep's own cache=."
            )
