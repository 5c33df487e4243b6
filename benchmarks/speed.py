"""How fast is a training step, how near to the machine's limit, and against whom?

    python benchmarks/speed.py            # the tables and the figure of docs/performance.md
    python benchmarks/speed.py --device cuda    # the GPU's table there
    python benchmarks/speed.py --quick    # everything at a small size, against rot; keeps nothing

Contenders take turns within one process; times are medians. The limit is the fastest matrix
product found in the same run. Times are of one thread unless said. The package ts3l takes part
where it is installed (``pip install --no-deps ts3l pytorch_lightning torchmetrics
lightning-utilities fsspec``).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Hashable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch
from joblib import Parallel, delayed, parallel_config
from speed_contenders import (
    METHODS,
    bare_epoch,
    encode_every_step,
    engine_epoch,
    epochs,
    frozen_classifier,
    ours,
    plain,
    plain_tuning,
    standardised,
    stock_forward,
    ts3l,
    tuning,
)
from torch.utils.flop_counter import FlopCounterMode

import sslgex.base
from sslgex import ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex._nn import product
from sslgex._training.device import resolve_device
from sslgex._training.views import HostViews

BATCH = 128
METRICS = ("ours", "bfloat16", "plain", "ts3l")
# At least: ratios at 2,000, 20,000 and 56,902 genes; a share of the limit from 20,000 on.
GOALS = {
    ("SCARF", "ts3l"): (35, 14, 8),
    ("SCARF", "plain"): (1.3, 2.2, 2.8),
    ("VIME", "ts3l"): (None, 3.7, 5),
    ("VIME", "plain"): (None, None, 2.2),
    ("BYOL", "plain"): (None, None, 2.5),
}
SHARES = {"ours": 0.55, "bfloat16": 0.75}
MEMORY = {"SCARF": 0.6, "VIME": 1.0, "BYOL": 0.8}  # GB above X, at most
GPU = {"SCARF": 400_000, "VIME": 200_000, "BYOL": 300_000}  # samples a second, at least
DTYPES = {"ours": torch.float32, "bfloat16": torch.bfloat16}

K = TypeVar("K", bound=Hashable)


class Sizes:
    """How much of everything is measured."""

    def __init__(self, quick: bool):
        self.genes = (100, 200, 300) if quick else (2_000, 20_000, 56_902)
        self.rows = 64 if quick else 1_024
        self.cohort = 150 if quick else 7_291  # rows of the study's TCGA
        self.seconds = 0.02 if quick else 12.0  # per row of a table
        self.sweep = (100, 200) if quick else (2_000, 5_000, 10_000, 20_000, 40_000, 60_000)
        self.batches = (32, 64) if quick else (32, 64, 128, 256, 512)
        self.cohorts = (128, 256) if quick else (512, 1_024, 2_048, 4_096)
        self.square, self.long = (256, 1_024) if quick else (2_048, 16_384)  # of `limit`


def matrix(n: int, n_genes: int) -> np.ndarray:
    """Return values like log expression."""
    X = np.random.default_rng(0).standard_normal((n, n_genes), dtype=np.float32)
    X *= 2  # in place: no temporary beside X, whose memory is measured
    X += 8
    return X


def alternated(contenders: dict[K, Callable], seconds: float) -> dict[K, float]:
    """Call the contenders in turn for so long, at least three times each; return their medians."""
    times: dict[K, list[float]] = {name: [] for name in contenders}
    for step in contenders.values():
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, step in contenders.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in times.items()}


def limit(dtype: torch.dtype, sizes: Sizes) -> float:
    """Return the operations per second of the fastest of some large matrix products."""
    rates, seconds = [], sizes.seconds / 20
    long, square = sizes.long, sizes.square
    for m, k, n in ((256, long, 256), (256, 256, long), (square, square, square)):
        a, b = torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)
        products = {
            "torch": lambda a=a, b=b: a @ b.t(),
            "ours": lambda a=a, b=b: product.linear(a, b),
        }
        rates += [2 * m * k * n / t for t in alternated(products, seconds).values()]
    return max(rates)


def operations(step: Callable) -> int:
    """Return the operations of all matrix products of a step, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def steps(sizes: Sizes) -> list[dict]:
    """Time the steps of all methods by all contenders, ours in bfloat16 too."""
    found = []
    for n_genes in sizes.genes:
        X = matrix(sizes.rows, n_genes)
        limits = {name: limit(dtype, sizes) for name, dtype in DTYPES.items()}
        for method in METHODS:
            contenders = {name: ours(method, X, BATCH, dtype) for name, dtype in DTYPES.items()}
            contenders["plain"] = plain(method, X, BATCH)
            if find_spec("ts3l") and method != "BYOL":
                contenders["ts3l"] = ts3l(method, X, BATCH)
            times = alternated(contenders, sizes.seconds)
            work = operations(contenders["plain"])
            shares = {name: work / times[name] / limits[name] for name in DTYPES}
            found.append({"method": method, "genes": n_genes, "times": times, "shares": shares})
            print(json.dumps(found[-1]), flush=True)
        print({name: f"{rate / 1e9:.0f} GFLOP/s" for name, rate in limits.items()}, flush=True)
    return found


def steps_table(found: list[dict], sizes: Sizes) -> str:
    """Return the steps as a Markdown table, every ratio with its goal."""
    lines = [
        "| method | genes | ours, ms | bfloat16, ms | plain, ms | ts3l, ms | plain / ours (goal) "
        "| ts3l / ours (goal) | of the limit (goal) | in bfloat16 (goal) |",
        "|---" * 10 + "|",
    ]
    for row in found:
        column, times = sizes.genes.index(row["genes"]), row["times"]
        cells = [row["method"], f"{row['genes']:,}"]
        cells += [f"{1e3 * times[m]:.1f}" if m in times else "" for m in METRICS]
        for opponent in ("plain", "ts3l"):
            goal = GOALS.get((row["method"], opponent), (None,) * 3)[column]
            ratio = f"{times[opponent] / times['ours']:.1f}" if opponent in times else ""
            cells.append(ratio + (f" ({goal})" if goal and ratio else ""))
        for name, goal in SHARES.items():
            cells.append(f"{row['shares'][name]:.2f}" + (f" ({goal})" if column else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def breakdown(sizes: Sizes) -> str:
    """Return where the time of the widest steps goes, as a Markdown table."""
    n_genes = sizes.genes[-1]
    X = matrix(sizes.rows, n_genes)
    rate = limit(torch.float32, sizes)
    lines = [
        "| method | step, ms | at the limit, ms | matrix products | batch and corruption | AdamW "
        "| the rest |",
        "|---" * 7 + "|",
    ]
    for method in METHODS:
        draws: list[float] = []
        step = ours(method, X, BATCH)
        step()
        with (
            timed(HostViews, "__init__", draws),
            timed(HostViews, "corrupted", draws),
            torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen,
        ):
            start, n = time.perf_counter(), 5
            for _ in range(n):
                step()
            total = 1e3 * (time.perf_counter() - start) / n
        spent = {e.key: e.self_cpu_time_total / 1e3 / n for e in seen.key_averages()}
        names = ("aten::mm", "aten::addmm", "aten::addmm_", "mkldnn::_linear_pointwise")
        products = sum(spent.get(name, 0.0) for name in names)
        adam, drawn = spent.get("aten::_fused_adamw_", 0.0), 1e3 * sum(draws) / n
        ideal = 1e3 * operations(plain(method, X, BATCH)) / rate
        cells = [total, ideal, products, drawn, adam, total - products - drawn - adam]
        lines.append(f"| {method} | " + " | ".join(f"{c:.0f}" for c in cells) + " |")
    return "\n".join(lines) + "\n"


class timed:
    """Within this context, append the seconds of every call of a function to a list."""

    def __init__(self, place: object, name: str, seconds: list[float]):
        self.place, self.name, self.seconds = place, name, seconds

    def __enter__(self):
        self.plain = getattr(self.place, self.name)

        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return self.plain(*args, **kwargs)
            finally:
                self.seconds.append(time.perf_counter() - start)

        setattr(self.place, self.name, call)

    def __exit__(self, *error):
        setattr(self.place, self.name, self.plain)


def others(sizes: Sizes) -> list[tuple[str, str, str]]:
    """Return what else has a goal: (what, the goal, what was measured)."""
    found: list[tuple[str, str, str]] = []

    def note(what: str, goal: str, measured: str) -> None:
        found.append((what, goal, measured))
        print(*found[-1], sep=" | ", flush=True)

    _, middle, wide = sizes.genes
    for n_genes in (middle, wide):
        X = matrix(sizes.rows, n_genes)
        for method in METHODS:
            step = ours(method, X, BATCH)
            times = alternated({str(n): on_threads(n, step) for n in (1, 2)}, sizes.seconds)
            ratio = f"{times['1'] / times['2']:.2f}"
            note(f"{method} step, 2 threads over 1, {n_genes:,} genes", "1.6", ratio)
    X = matrix(200, wide)
    tuners = {"plain": plain_tuning(X, 8), "fused": plain_tuning(X, 8, fused=True)}
    tuners |= {"ours": tuning(X, 8, anchor=0.0), "held": tuning(X, 8, anchor=0.01)}
    times = alternated(tuners, sizes.seconds)
    what = f"unfrozen step, B = 8, {wide:,} genes, over torch's"
    for name, goal, label in (
        ("ours", "6", "default Adam"),
        ("held", "", "default Adam, anchored"),
    ):
        note(f"{what} {label}", goal, f"{times['plain'] / times[name]:.1f}")
    note(f"{what} fused Adam", "", f"{times['fused'] / times['ours']:.1f}")
    runs = {"every step": encode_every_step(X, 100), "once": frozen_classifier(X, 100)}
    times = alternated(runs, 0)
    ratio = f"{times['every step'] / times['once']:.0f}"
    note(
        f"frozen, 200 labels, 100 epochs, {wide:,} genes, over encoding at every step", "50", ratio
    )
    for n_genes in sizes.genes:
        times = alternated(stock_forward(matrix(sizes.rows, n_genes)), sizes.seconds)
        goal = "1.6" if n_genes == wide else ""
        ratio = f"{times['stock'] / times['ours']:.2f}"
        note(f"`transform` over torch's forward, {n_genes:,} genes", goal, ratio)
    for batch_size, goal in ((128, "1.03"), (8, "1.10")):
        X = matrix(8 * batch_size, middle)
        loops = {"loop": engine_epoch(X, batch_size), "bare": bare_epoch(X, batch_size)}
        times = alternated(loops, 2 * sizes.seconds)
        ratio = f"{times['loop'] / times['bare']:.3f}"
        note(
            f"training loop over bare steps, B = {batch_size}, {middle:,} genes",
            f"<= {goal}",
            ratio,
        )
    for method in METHODS:
        above, beyond, components = in_a_new_process("fit", method, sizes.cohort, wide)
        what = f"{sizes.cohort:,} x {wide:,}, {method}"
        note(f"memory above X, B = 256, {what}", f"<= {MEMORY[method]} GB", f"{above / 1e9:.2f} GB")
        note(f"`fit` beyond its epochs, {what}", "<= 5 s", f"{beyond:.1f} s")
        note("of it, the 128 principal components", "", f"{components:.1f} s")
    times = in_a_new_process("workers", 4 * sizes.seconds)
    ratio = f"{times['default'] / times['1']:.2f}"
    note("2 joblib workers as joblib starts them, over 1 thread each", "<= 1", ratio)
    ratio = f"{times['2'] / times['1']:.2f}"
    note("2 joblib workers told to take 2 threads each, over 1 each", "<= 1", ratio)
    return found


def on_threads(n: int, step: Callable) -> Callable:
    """Return the step on so many threads."""

    def run():
        torch.set_num_threads(n)
        step()
        torch.set_num_threads(1)

    return run


def in_a_new_process(what: str, *arguments):
    """Return what a measurement in a process of its own finds."""
    command = [sys.executable, __file__, "--measure", what, *map(str, arguments)]
    return json.loads(subprocess.check_output(command, env=os.environ | {"OMP_NUM_THREADS": "1"}))


def measure_fit(method: str, n: str, n_genes: str) -> tuple[float, float, float]:
    """Return the bytes that an epoch of fitting takes above X, and the seconds beside it.

    Also those of them that the principal components take.
    """
    X = matrix(int(n), int(n_genes))
    # Whatever the first use of torch and of scikit-learn allocates is not the data's.
    METHODS[method](max_epochs=1).fit(X[:64, :64].copy())
    estimator = METHODS[method].from_preset("dradjat2025-code", max_epochs=1, batch_size=256)
    components: list[float] = []
    before, start = memory("VmRSS"), time.perf_counter()
    with timed(sslgex.base, "principal_components", components):
        estimator.fit(X)
    beyond = time.perf_counter() - start - sum(e["seconds"] for e in estimator.history_)
    return memory("VmHWM") - before, beyond, sum(components)


def memory(name: str) -> int:
    """Return a size of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def measure_workers(seconds: str) -> dict[str, float]:
    """Return the seconds that two fits in two workers take, with so many threads in each."""
    X = matrix(512, 2_000)
    vime = VimeTransformer((256,) * 4, max_epochs=4)
    os.environ.pop("OMP_NUM_THREADS", None)  # joblib obeys it
    times: dict[str, list[float]] = {"1": [], "2": [], "default": []}
    end = time.perf_counter() + float(seconds)
    while time.perf_counter() < end or not times["default"]:
        for name, inner in (("1", 1), ("2", 2), ("default", None)):
            with parallel_config("loky", n_jobs=2, inner_max_num_threads=inner):
                for _ in range(2):  # first, other numbers of threads start other workers
                    taken = Parallel()(delayed(seconds_of)(vime.fit, X) for _ in range(2))
                times[name].append(max(taken))
    return {name: median(taken) for name, taken in times.items()}


def seconds_of(function: Callable, *arguments) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def others_table(found: list[tuple[str, str, str]], measured: str = "measured") -> str:
    """Return them as a Markdown table, the last column so headed."""
    lines = [f"| what | goal | {measured} |", "|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in found]) + "\n"


def scaling(sizes: Sizes) -> dict[str, list[tuple[int, float]]]:
    """Return milliseconds per step over genes and over batch, seconds per epoch over rows."""
    narrow, middle, _ = sizes.genes
    found: dict[str, list[tuple[int, float]]] = {}

    def sweep(key: str, values: tuple[int, ...], make: Callable[[int], Callable]) -> None:
        times = alternated({str(v): make(v) for v in values}, sizes.seconds)
        found[key] = [(v, times[str(v)]) for v in values]
        print(key, found[key], flush=True)

    for method in METHODS:
        make = partial(ours, method)
        sweep(f"{method}, genes", sizes.sweep, lambda g, make=make: make(matrix(512, g), BATCH))
        X = matrix(1_024, middle)
        sweep(f"{method}, batch", sizes.batches, lambda b, make=make, X=X: make(X, b))
    sweep("SCARF, rows", sizes.cohorts, lambda n: engine_epoch(matrix(n, narrow), BATCH))
    return found


def plot(found: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Draw the costs."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    what = {
        "genes": ("Genes", "Milliseconds per step", 1e3),
        "batch": ("Samples per batch", "Milliseconds per step", 1e3),
        "rows": ("Samples", "Seconds per epoch", 1.0),
    }
    for ax, (key, (x_label, y_label, factor)) in zip(axes, what.items(), strict=True):
        for name in [name for name in found if name.endswith(key)]:
            x, y = np.array(found[name]).T
            ax.plot(x, y * factor, marker="o", label=name.split(",")[0])
        ax.set(xlabel=x_label, ylabel=y_label, xlim=(0, None), ylim=(0, None))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def device_table(name: str, sizes: Sizes) -> str:
    """Return how fast a device trains, in bfloat16, as a Markdown table."""
    device, found = resolve_device(name), []
    X = np.resize(matrix(min(512, sizes.cohort), sizes.genes[-1]), (sizes.cohort, sizes.genes[-1]))
    rows = standardised(X)
    for method in METHODS:
        history = epochs(method, rows, 512, torch.bfloat16, device, 6)
        seconds = median(e["seconds"] for e in history[1:])
        found.append((f"{method}, samples/s, B = 512", f">= {GPU[method]:,}", len(X) / seconds))
        if method == "SCARF":
            found.append(("SCARF, seconds of 1000 epochs", "< 60", 1000 * seconds))
    encoder = ScarfTransformer.from_preset("dradjat2025-code", max_epochs=1, device=name)
    clf = SSLClassifier.from_preset("dradjat2025", encoder=encoder, mode="unfrozen")
    clf.set_params(device=name, max_epochs=4, early_stopping=False)
    clf.fit(X[:200], np.arange(min(len(X), 200)) % 5)
    seconds = median(e["seconds"] for e in clf.history_[1:]) / -(-min(len(X), 200) // 8)
    found.append(("fine-tuning step, ms, B = 8", "< 0.25", 1000 * seconds))
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    table = [(what, goal, f"{value:,.2f}") for what, goal, value in found]
    return others_table(table, f"measured on {place}")


MEASURES = {"fit": measure_fit, "workers": measure_workers}


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small size; keep nothing")
    parser.add_argument("--device", help="measure `fit` on this device instead, such as cuda")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    if arguments.measure:
        torch.set_num_threads(1)
        name, *rest = arguments.measure
        print(json.dumps(MEASURES[name](*rest)))
    elif arguments.quick:
        with TemporaryDirectory() as out:
            for device in (arguments.device,) if arguments.device else (None, "cpu"):
                measure(Sizes(quick=True), device, Path(out))
    else:
        measure(Sizes(quick=False), arguments.device, arguments.out)


def measure(sizes: Sizes, device: str | None, out: Path) -> None:
    """Write the tables and the figure, or the table of a device."""
    if device is not None:
        tables = {"speed_gpu": device_table(device, sizes)}
    else:
        torch.set_num_threads(1)
        tables = {
            "speed_steps": steps_table(steps(sizes), sizes),
            "speed_breakdown": breakdown(sizes),
            "speed_others": others_table(others(sizes)),
        }
        (out / "figures").mkdir(parents=True, exist_ok=True)
        plot(scaling(sizes), out / "figures" / "speed.png")
    (out / "tables").mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        print(f"\n{name}\n{table}")
        (out / "tables" / f"{name}.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
