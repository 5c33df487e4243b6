"""What parameters may be, and named settings of them."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
SHARE = Interval(Real, 0, 1, closed="neither")
SHARE_OR_NONE = Interval(Real, 0, 1, closed="left")


class PresetMixin:
    """Named settings from publications."""

    _PRESETS: dict[str, dict] = {}

    @classmethod
    def from_preset(cls, name: str, **overrides):
        """Return an unfitted instance with published settings.

        Parameters
        ----------
        name : str
            Which publication; the class documentation lists them.
        **overrides
            Parameters to set differently.

        Returns
        -------
        estimator
            An ordinary unfitted instance.

        Raises
        ------
        ValueError
            If there is no such preset.
        """
        if not isinstance(name, str) or name not in cls._PRESETS:
            raise ValueError(
                f"{cls.__name__} has no preset {name!r}; it has {sorted(cls._PRESETS)}."
            )
        return cls(**{**cls._PRESETS[name], **overrides})


def check_sizes(estimator, name: str, *, allow_empty: bool = False) -> None:
    """Raise unless parameter ``name`` is a sequence of positive layer widths."""
    sizes = list(getattr(estimator, name))
    bad = [s for s in sizes if not isinstance(s, Integral) or isinstance(s, bool) or s < 1]
    if bad or not (sizes or allow_empty):
        raise ValueError(
            f"{name} of {type(estimator).__name__} must hold positive integers, one per layer, "
            f"got {tuple(sizes)}."
        )


def epoch_line(name: str, epoch: dict, n_epochs: int) -> str:
    """Return what ``verbose=1`` prints of an epoch."""
    parts = [f"[{name}] epoch {epoch['epoch']}/{n_epochs}", f"loss {epoch['loss']:.4f}"]
    if "validation_loss" in epoch:
        parts.append(f"validation loss {epoch['validation_loss']:.4f}")
    parts.append(f"{epoch['seconds']:.2f} s")
    return "  ".join(parts)
