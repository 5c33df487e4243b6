"""Training losses as a picture."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._arguments import check_names, join
from ._style import make_axes, n_curves, set_legend, style

MARKS = 6  # markers along a curve
MOST_INSIDE = 6  # curves with a legend between them


class LossCurveDisplay:
    """Loss of every epoch, of one training or of several.

    Make one with `from_estimator`, for what was fitted, or `from_results`, for the pretrainings of
    a sweep; they draw it too.

    Parameters
    ----------
    losses : dict of str to list of list of float
        Per name the training loss of every epoch, of each run.
    validation_losses : dict of str to list of list of float, default=None
        The same on held-out samples, of the names that have it.
    relative : bool, default=False
        Divide by the training loss of the first epoch. Losses of different methods have different
        scales, and only so share an axis.

    Attributes
    ----------
    losses, validation_losses : dict of str to list of list of float
        As given.
    relative : bool
        As given.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of Line2D
        One per name and run.
    validation_lines_ : list of Line2D
        The dashed ones.

    See Also
    --------
    LabelEfficiencyDisplay : What came of it.

    Notes
    -----
    A lower loss of one method than of another says nothing about their embeddings, and BYOL's falls
    even where the embedding has collapsed: see "spread" in its `history_`.

    Examples
    --------
    >>> from sslgex import VimeTransformer
    >>> from sslgex.datasets import make_expression
    >>> from sslgex.plotting import LossCurveDisplay
    >>> X = make_expression(n_samples=60, n_genes=30, random_state=0).data
    >>> vime = VimeTransformer((8,), max_epochs=3, validation_fraction=0.2, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(vime)
    >>> [line.get_label() for line in display.ax_.lines]
    ['VimeTransformer', 'VimeTransformer, held out']
    """

    def __init__(self, losses, *, validation_losses=None, relative=False):
        self.losses = losses
        self.validation_losses = {} if validation_losses is None else validation_losses
        self.relative = relative
        first = [(name, run[0]) for name, runs in losses.items() for run in runs if relative]
        for name, loss in first:
            if not loss > 0:
                raise ValueError(
                    f"relative=True divides by the loss of the first epoch, which is {loss:g} for "
                    f"{name!r}: draw it with relative=False."
                )

    @classmethod
    def from_estimator(cls, estimator, *, name=None, relative=False, ax=None):
        """Draw the training of a fitted pretrainer or classifier.

        Parameters
        ----------
        estimator : pretrainer or SSLClassifier
            Fitted; anything with a `loss_curve_`.
        name : str or None, default=None
            In the legend; None: the class.
        relative : bool, default=False
            Divide by the training loss of the first epoch.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other losses if there are any; None: in a new figure.

        Returns
        -------
        display : LossCurveDisplay
            Drawn: training losses and, dashed, those of held-out samples if there were any.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no loss curve, as a classifier whose head needed no epochs.
        ImportError
            Without matplotlib.
        """
        check_is_fitted(estimator)
        name = type(estimator).__name__ if name is None else name
        losses = getattr(estimator, "loss_curve_", None)
        if not losses:
            raise ValueError(f"{name} has no loss curve: {_why(estimator)}")
        held_out = getattr(estimator, "validation_loss_curve_", None)
        validation = None if held_out is None else {name: [held_out]}
        return cls({name: [losses]}, validation_losses=validation, relative=relative).plot(ax)

    @classmethod
    def from_results(cls, results, *, entries=None, relative=False, ax=None):
        """Draw the pretrainings of a sweep, one line per split.

        Parameters
        ----------
        results : LabelEfficiencyResults or list of them
            What `label_efficiency_curve` returned; several if they are of the same data, splits
            and labelled subsets.
        entries : list of str, str or None, default=None
            What to draw, in the order of styles; None: all. Entries without a loss are left out,
            those that share an encoder share a line.
        relative : bool, default=False
            Divide by the loss of the first epoch.
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other losses if there are any; None: in a new figure.

        Returns
        -------
        display : LossCurveDisplay
            Drawn.

        Raises
        ------
        ValueError
            For unknown names, and if none of the entries has a loss.
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> from sslgex import ScarfTransformer, SSLClassifier
        >>> from sslgex.datasets import make_expression
        >>> from sslgex.evaluation import label_efficiency_curve
        >>> from sslgex.plotting import LossCurveDisplay
        >>> X, y = make_expression(n_samples=80, n_genes=30, return_X_y=True, random_state=0)
        >>> entries = {"SCARF": SSLClassifier(ScarfTransformer((8,), max_epochs=3), mode="frozen")}
        >>> results = label_efficiency_curve(
        ...     entries, X, y, label_sizes=[20], n_draws=1, cv=2, random_state=0
        ... )
        >>> len(LossCurveDisplay.from_results(results).lines_)
        2
        """
        results = join(results)
        chosen = check_names(entries, results.entries, "entries")
        shared: dict[tuple, list[str]] = {}
        for name in chosen:
            runs = tuple(tuple(run) for run in results.loss_curves[name] if len(run))
            if runs:
                shared.setdefault(runs, []).append(name)
        if not shared:
            raise ValueError(
                f"None of {chosen} has a loss curve: they pretrain nothing, or their encoder was "
                "given fitted (LossCurveDisplay.from_estimator draws that), or failed."
            )
        losses = {",\n".join(names): [list(run) for run in runs] for runs, names in shared.items()}
        return cls(losses, relative=relative).plot(ax)

    def plot(self, ax=None):
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, beside other losses if there are any; None: in a new figure.

        Returns
        -------
        display : LossCurveDisplay
            This one, with `ax_`, `figure_`, `lines_` and `validation_lines_`.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = make_axes(ax, type(self).__name__)
        from matplotlib.ticker import MaxNLocator

        first = n_curves(ax)
        self.lines_, self.validation_lines_ = [], []
        for i, (name, runs) in enumerate(self.losses.items()):
            look = style(first + i)
            look |= {"linewidth": 1.8 if len(runs) == 1 else 0.9, "markersize": 5}
            for k, run in enumerate(runs):
                scale = run[0] if self.relative else 1.0
                label = name if k == 0 else None
                self.lines_.append(_draw(ax, run, scale, label, k, look | {"linestyle": "-"}))
            for k, run in enumerate(self.validation_losses.get(name, [])):
                scale = runs[k][0] if self.relative else 1.0
                label = f"{name}, held out" if k == 0 else None
                self.validation_lines_.append(
                    _draw(ax, run, scale, label, k, look | {"linestyle": "--"})
                )
        self.ax_, self.figure_ = ax, ax.figure
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(left=0.5, auto=True)  # there is no epoch 0
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss / loss of the first epoch" if self.relative else "loss")
        handles, labels = ax.get_legend_handles_labels()
        set_legend(ax, handles, labels, "beside" if len(handles) > MOST_INSIDE else "inside")
        return self


def _draw(ax, losses, scale: float, label, k: int, look: dict):
    """Draw a curve with a few markers, which those of its neighbours do not cover."""
    n = len(losses)
    every = max(1, n // MARKS)
    look |= {"markevery": (k * every // 5 % every, every)}
    (line,) = ax.plot(np.arange(1, n + 1), np.divide(losses, scale), label=label, **look)
    return line


def _why(estimator) -> str:
    """Return why an estimator has no loss curve, and what to draw instead."""
    if not hasattr(estimator, "loss_curve_"):
        return "it was not trained by gradient descent. Pretrainers and SSLClassifier are."
    encoder = getattr(estimator, "encoder_", None)
    if getattr(encoder, "loss_curve_", None):
        return (
            "its head needed no epochs. The pretraining's is that of its encoder: "
            "LossCurveDisplay.from_estimator(classifier.encoder_)."
        )
    return "it was fitted without epochs, and so was its encoder."
