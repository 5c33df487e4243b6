"""Tables and pictures of what each parameter of pretraining does."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from tuning_grid import COMPONENTS, METHODS, Knob, default, name_of

from sslgex.evaluation import Comparison, EmbeddingSpectrum, LabelEfficiencyResults, compare
from sslgex.plotting import SpectrumDisplay
from sslgex.plotting._style import COLORS, GREY, MARKERS, draw_intervals

METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
SHOWN = "accuracy"  # in pictures
VERDICTS = {"helps": "ahead", "hurts": "behind"}
MARKS = 5  # markers along a curve


class Setting(NamedTuple):
    """A value of a knob."""

    value: float  # what the knob counts; of "auto" epochs their number
    label: str
    entry: str
    is_default: bool


class Findings:
    """What came out.

    Parameters
    ----------
    title : str
        Of the data.
    knobs : dict of str to Knob
        What was varied.
    base : dict
        Parameters of all encoders that are not the package's defaults.
    results : LabelEfficiencyResults
        Scores of all entries, and the losses of their pretraining.
    spectra : EmbeddingSpectrum
        Of their embeddings.
    n_genes : int
        Of the data.
    """

    def __init__(
        self,
        title: str,
        knobs: dict[str, Knob],
        base: dict,
        results: LabelEfficiencyResults,
        spectra: EmbeddingSpectrum,
        n_genes: int,
    ):
        self.title = title
        self.knobs = knobs
        self.base = base
        self.results = results
        self.spectra = spectra
        self.n_genes = n_genes
        self._gaps: dict[tuple, Comparison] = {}

    def settings(self, method: str, parameter: str) -> list[Setting]:
        """Return the values that were tried, ascending, the default among them."""
        usual = default(method, parameter, self.base)
        value = len(self.results.loss_curves[method][0]) if usual == "auto" else usual
        label = f"auto ({value})" if usual == "auto" else f"{value:g}"
        found = [Setting(value, label, method, True)]
        for other in self.knobs[parameter].values:
            if other != usual:
                name = name_of(method, parameter, other, self.base)
                found.append(Setting(other, f"{other:g}", name, False))
        return sorted(found)

    def gap(self, entry: str, method: str, metric: str) -> Comparison:
        """Return an entry beside the method's default."""
        key = entry, method, metric
        if key not in self._gaps:
            self._gaps[key] = compare(self.results, entry, method, metric=metric)
        return self._gaps[key]

    @cached_property
    def display(self) -> SpectrumDisplay:
        """Return the mean spectra."""
        return SpectrumDisplay(self.spectra)

    def rank(self, entry: str) -> float:
        """Return the mean effective rank."""
        return float(self.spectra.effective_rank[entry].mean())

    def heading(self) -> str:
        """Return what the numbers are of."""
        r = self.results
        sizes = " and ".join(map(str, r.label_sizes))
        return (
            f"**{self.title}**: {len(r.y):,} samples, {len(r.classes)} classes, {self.n_genes:,} "
            f"genes; {len(r.splits)} splits, {r.n_draws} draws of {sizes} labels in each."
        )


def points(found: Comparison) -> str:
    """Return the mean difference over the numbers of labels with its interval."""
    mean, low, high = (
        round(100 * value, 1) + 0.0 for value in (found.gain, *found.gain_interval)
    )  # 0.0 more, and no zero is negative
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def scores(found: Findings, entry: str, metric: str) -> str:
    """Return the mean and its standard error over splits, by number of labels."""
    splits = found.results.scores(metric)[entry].mean(axis=2)
    errors = splits.std(axis=0, ddof=1) / np.sqrt(len(splits))
    cells = zip(splits.mean(axis=0), errors, strict=True)
    return " / ".join(f"{100 * mean:.1f} ± {100 * error:.1f}" for mean, error in cells)


def table(found: Findings, parameter: str) -> str:
    """Return what every value of a parameter did, as Markdown."""
    sizes = " / ".join(map(str, found.results.label_sizes))
    head = [parameter]
    for metric in METRICS.values():
        head += [f"{metric} at {sizes}, per cent", "minus the default's, points"]
    head += ["rank, collapsed", "loss", "seconds"]
    lines = [found.heading(), "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for method in found.knobs[parameter].methods:
        for setting in found.settings(method, parameter):
            label = f"{method} {setting.label}"
            label = f"**{label}**" if setting.is_default else label
            lines.append(row(found, label, setting.entry, method))
    lines.append(row(found, COMPONENTS, COMPONENTS, None))
    return "\n".join([*lines, ""])


def row(found: Findings, label: str, entry: str, method: str | None) -> str:
    """Return a line of the table; ``method`` is whose default the entry is compared with."""
    cells = [label]
    for metric in METRICS:
        cells.append(scores(found, entry, metric))
        compared = method is not None and entry != method
        cells.append(points(found.gap(entry, method, metric)) if compared else "")
    cells.append(f"{found.rank(entry):.1f}, {found.spectra.n_collapsed[entry].mean():.3g}")
    loss = found.results.loss_curves[entry][0]
    cells.append(f"{loss[0]:.3g} → {loss[-1]:.3g}" if loss else "")
    cells.append(f"{found.results.pretrain_seconds[entry].mean():.1f}")
    return f"| {' | '.join(cells)} |"


def overview(found: Findings) -> str:
    """Return one line per parameter and method: how much there is to gain and to lose."""
    lines = [
        found.heading(),
        "",
        f"| parameter, default | effective rank | worst {METRICS[SHOWN]}, minus the default's "
        "| best | told from the default |",
        "|---" * 5 + "|",
    ]
    for parameter, knob in found.knobs.items():
        for method in knob.methods:
            settings = found.settings(method, parameter)
            ranks = [found.rank(s.entry) for s in settings]
            (usual,) = (s for s in settings if s.is_default)
            gaps = {s: found.gap(s.entry, method, SHOWN) for s in settings if not s.is_default}
            ends = [pick(gaps, key=lambda s: gaps[s].gain) for pick in (min, max)]
            cells = [f"{method} {parameter}, {usual.label}"]
            cells.append(f"{min(ranks):.1f} to {max(ranks):.1f}")
            cells += [f"{s.label}: {points(gaps[s])}" for s in ends]
            told = {s: VERDICTS.get(gaps[s].verdict) for s in gaps}
            cells.append(", ".join(f"{s.label} {word}" for s, word in told.items() if word))
            lines.append(f"| {' | '.join(cells)} |")
    components = [points(found.gap(COMPONENTS, m, SHOWN)) for m in METHODS]
    lines += [
        "",
        f"{COMPONENTS.capitalize()}, where training starts, minus the defaults of "
        f"{', '.join(METHODS)}: {'; '.join(components)} points of accuracy.",
        "",
    ]
    return "\n".join(lines)


def figure(found: Findings, parameter: str, path: Path) -> None:
    """Draw losses, spectra and scores by the values of a parameter, a row per method."""
    methods = found.knobs[parameter].methods
    fig, axes = plt.subplots(
        len(methods),
        4,
        figsize=(11.5, 0.5 + 2.7 * len(methods)),
        layout="constrained",
        squeeze=False,
        gridspec_kw={"width_ratios": [1, 1, 1.15, 0.42]},
    )
    for (left, middle, right, beside), method in zip(axes, methods, strict=True):
        settings = found.settings(method, parameter)
        draw_losses(left, found, parameter, settings)
        left.set_title(method, loc="left", fontweight="bold")
        reference = draw_spectra(middle, found, settings)
        draw_scores(right, found, parameter, method, settings)
        beside.axis("off")
        lines = left.get_lines()
        labels = [
            f"{s.label}{' (default)' * s.is_default}\neffective rank {found.rank(s.entry):.1f}"
            for s in settings
        ]
        beside.legend(
            [*lines, reference],
            [*labels, f"{COMPONENTS}\neffective rank {found.rank(COMPONENTS):.1f}"],
            title=parameter,
            loc="center left",
            bbox_to_anchor=(-0.3, 0.5),
            fontsize="x-small",
            title_fontsize="small",
            frameon=False,
            handlelength=2.6,
        )
    axes[0, 1].set_title("held-out embeddings", fontsize="medium")
    axes[0, 2].legend(  # above, where no interval is in the way
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small", frameon=False,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    fig.suptitle(found.title, fontsize="medium")
    fig.savefig(path, dpi=110)
    plt.close(fig)


def look(settings: list[Setting], i: int, n_points: int) -> dict:
    """Return colour, marker and width of a value: from dark to light, and the default thick."""
    every = max(1, n_points // MARKS)
    return {
        "color": plt.get_cmap("viridis")(0.88 * i / max(1, len(settings) - 1)),
        "marker": MARKERS[i % len(MARKERS)],
        "markevery": (i * every // len(settings), every),
        "markersize": 4.5,
        "linewidth": 3.0 if settings[i].is_default else 1.2,
    }


def draw_losses(ax, found: Findings, parameter: str, settings: list[Setting]) -> None:
    """Draw the losses of the first split."""
    rescales = found.knobs[parameter].rescales
    for i, setting in enumerate(settings):
        loss = np.array(found.results.loss_curves[setting.entry][0])
        scale = loss[0] if rescales else 1.0
        ax.plot(np.arange(1, len(loss) + 1), loss / scale, **look(settings, i, len(loss)))
    if parameter == "max_epochs":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss / that of the first epoch" if rescales else "loss")


def draw_spectra(ax, found: Findings, settings: list[Setting]):
    """Draw the mean spectra over the splits; return the line of principal components."""
    display = found.display
    for i, setting in enumerate(settings):
        mean = display.means[setting.entry]
        ax.plot(np.arange(1, len(mean) + 1), mean, **look(settings, i, len(mean)))
    mean = display.means[COMPONENTS]
    (reference,) = ax.plot(
        np.arange(1, len(mean) + 1), mean, color=GREY, linestyle="--", linewidth=1.8
    )
    ax.set_yscale("log")
    if ax.get_ylim()[0] < 10 * found.spectra.tol:
        ax.axhline(found.spectra.tol, color="0.4", linewidth=0.8, linestyle=(0, (6, 4)), zorder=0)
        ax.annotate("collapsed", (1, found.spectra.tol), va="top", fontsize="x-small", color="0.4")
    ax.set_xlabel("rank of the singular value")
    ax.set_ylabel("singular value / largest")
    return reference


def draw_scores(ax, found: Findings, parameter, method: str, settings: list[Setting]) -> None:
    """Draw differences to the default by value, an interval each, and those of components."""
    sizes = found.results.label_sizes
    x = np.arange(len(settings))
    ax.axhline(0, color="0.3", linewidth=0.8)
    components = found.gap(COMPONENTS, method, SHOWN)
    for k, size in enumerate(sizes):
        gap, bounds = np.zeros(len(x)), np.zeros((len(x), 2))
        for i, setting in enumerate(settings):
            if not setting.is_default:
                comparison = found.gap(setting.entry, method, SHOWN)
                gap[i], bounds[i] = comparison.difference[k], comparison.interval[k]
        at = x + 0.16 * (k - (len(sizes) - 1) / 2)
        color = COLORS[k]
        draw_intervals(ax, at, 100 * bounds, alpha=0.2, color=color, linewidth=1.6)
        ax.plot(at, 100 * gap, color=color, marker="os^D"[k % 4], linestyle="", markersize=5.5,
                label=f"{size} labels")  # fmt: skip
        ax.axhline(100 * components.difference[k], color=color, linewidth=1.0, linestyle="--")
    ax.plot([], [], color=GREY, linewidth=1.0, linestyle="--", label=COMPONENTS)
    ax.set_xticks(x, [s.label + "\ndefault" * s.is_default for s in settings])
    ax.set_xlabel(" ".join([parameter, found.knobs[parameter].symbol]).strip())
    ax.set_ylabel(f"{METRICS[SHOWN]} minus the\ndefault's, points")
