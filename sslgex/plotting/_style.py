"""Styles that colour-blind readers and grey prints tell apart, and axes alike in all displays."""

import numpy as np

# Okabe and Ito's palette, without yellow, which is lost on white; neighbours differ in lightness.
COLORS = ("#0072B2", "#E69F00", "#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7")
LINES = ("-", "--", "-.", ":")
# 7 colours, 4 lines and 9 markers have no common factor: no two of 28 curves agree in two of them.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
GREY = "0.6"
# With more sizes error bars become a fence: bands take their place.
MOST_BARS = 12
WIDE = 3.2  # inches of axes that can spare some for a legend

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1 score, mean over classes",
    "neg_log_loss": "log loss\n(negated, higher is better)",
    "neg_calibration_error": "calibration error\n(negated, higher is better)",
}


def require_pyplot(what: str):
    """Return ``matplotlib.pyplot``, or raise naming the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            f"{what} needs matplotlib, which is not installed: pip install 'sslgex[plot]'."
        ) from None
    return plt


def make_axes(ax, what: str, *, size: tuple[float, float] | None = None):
    """Return the axes given, or those of a new figure."""
    if ax is None:
        _, ax = require_pyplot(what).subplots(figsize=size, layout="constrained")
    return ax


def n_curves(ax) -> int:
    """Return how many curves with a name are in the axes already."""
    return len(ax.get_legend_handles_labels()[1])


def style(i: int, n_points: int = 0) -> dict:
    """Return colour, line and marker of the i-th curve, the marker at some of many points."""
    return {
        "markevery": 0.08 if n_points > MOST_BARS else None,
        "color": COLORS[i % len(COLORS)],
        "linestyle": LINES[i % len(LINES)],
        "marker": MARKERS[i % len(MARKERS)],
    }


def shift(artist, points: float) -> None:
    """Draw an artist some points to the right of its data, at any scale of the axis.

    Only once it is in its axes: they look for their limits by the transform it comes with.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.transforms import offset_copy

    ax = artist.axes
    place = offset_copy(ax.transData, ax.figure, x=points, y=0, units="points")
    if isinstance(artist, PathCollection):
        artist.set_offset_transform(place)
    else:
        artist.set_transform(place)


def draw_intervals(
    ax,
    x: np.ndarray,
    bounds: np.ndarray,
    *,
    alpha: float,
    color,
    most_bars: int = MOST_BARS,
    **bar,
):
    """Draw the interval of every size: a bar each or, with many sizes, one band.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to.
    x : ndarray of shape (n_sizes,)
        The sizes.
    bounds : ndarray of shape (n_sizes, 2)
        Lower and upper ends.
    alpha : float
        Of the band.
    color : str
        Of either.
    most_bars : int, default=12
        How many sizes are still drawn as bars.
    **bar
        Properties of the bars' line.

    Returns
    -------
    drawn : Line2D or PolyCollection
        Bars are one line with gaps, which a legend in search of room does not overlook.
    """
    if len(x) > most_bars:
        return ax.fill_between(x, *bounds.T, color=color, alpha=alpha, linewidth=0)
    gaps = np.full(len(x), np.nan)
    points = np.column_stack([x, x, gaps]).ravel(), np.column_stack([bounds, gaps]).ravel()
    return ax.plot(*points, color=color, solid_capstyle="butt", **bar)[0]


def set_sizes(ax, x: np.ndarray, label: str) -> None:
    """Make an x axis of label sizes: logarithmic where they span much, ticks at the sizes."""
    from matplotlib.ticker import NullLocator

    logarithmic = x[-1] > 4 * x[0]
    if logarithmic:
        ax.set_xscale("log")
    inches = ax.bbox.width / ax.figure.dpi
    ticks = _spread(x, np.log(x) if logarithmic else x, at_most=max(2, round(1.8 * inches)))
    ax.set_xticks(ticks, [size_name(n) for n in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.08)  # for what is shifted at the ends
    ax.set_xlabel(label)


def size_name(size: float) -> str:
    """Return a number of samples, or a proportion of them, as people write it."""
    return f"{size:,.0f}" if size > 1 else f"{size:g}"


def _spread(x: np.ndarray, position: np.ndarray, *, at_most: int) -> np.ndarray:
    """Return the first, the last, and of the others as many as have room."""
    room = (position[-1] - position[0]) / at_most
    kept = [0]
    for i in range(1, len(x) - 1):
        if position[i] - position[kept[-1]] >= room <= position[-1] - position[i]:
            kept.append(i)
    if position[-1] > position[0]:
        kept.append(len(x) - 1)
    return x[kept]


def set_legend(ax, handles: list, labels: list[str], where: str = "inside", **options) -> None:
    """Draw a legend: inside, beside or above the axes.

    Outside only where a layout engine makes room for it, as in the displays' own figures: without
    one it would run into the neighbours or off the page. And of small axes it would leave nothing.
    """
    place: dict = {"loc": "best"}
    inches = ax.bbox.width / ax.figure.dpi
    if ax.figure.get_layout_engine() is not None and inches >= WIDE:
        if where == "beside":
            place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.01), "frameon": False}
        elif where == "above":
            place = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "frameon": False}
    legend = ax.legend(
        handles,
        labels,
        fontsize="small",
        title_fontsize="small",
        alignment="left",
        handlelength=3.2,
        **place,
        **options,
    )
    # A legend wider than its axes would make a layout engine shrink them to nothing.
    legend.set_in_layout(place["loc"] != "best")
