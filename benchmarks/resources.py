"""Is what `sslgex.estimate_resources` says of memory and time what a fit takes?

    python benchmarks/resources.py            # the table of docs/larger_than_memory.md, 5 minutes
    python benchmarks/resources.py --quick    # three small shapes, against rot; keeps nothing

Every shape is fitted in a process of its own, of one thread, which has fitted something small
before: what the first use of the packages takes is not counted. Measured is the most that was
resident, above what was with X in memory. The estimate is made in the same process after the fit.
Seconds are the processor's, lest other work on the machine count: of one thread they are those of
the clock where there is none.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import h5py
import torch
from label_efficiency import machine
from speed import matrix, memory

from sslgex import ByolTransformer, ScarfTransformer, VimeTransformer, estimate_resources
from sslgex._training import engine

TABLE = Path(__file__).resolve().parents[1] / "docs" / "tables" / "resources.md"
METHODS = {"SCARF": ScarfTransformer, "VIME": VimeTransformer, "BYOL": ByolTransformer}
EPOCHS = 5  # the first does not count
PIECE = 500  # rows that are written at once
# Method, samples, genes, parameters (beside those of a preset), and whether X is on disk.
SHAPES = [
    ("SCARF", 2_000, 2_000, {}, False),
    ("SCARF", 40_000, 500, {}, False),
    ("SCARF", 1_000, 20_000, {"batch_size": 32}, False),
    ("SCARF", 512, 56_902, {}, False),
    ("VIME", 1_000, 20_000, {"batch_size": 128}, False),
    ("VIME", 2_000, 10_000, {"batch_size": 1_024}, False),
    ("VIME", 1_000, 20_000, {"precision": "bfloat16"}, False),
    ("VIME", 1_000, 20_000, {"preset": "dradjat2025", "batch_size": 64}, False),
    ("BYOL", 1_000, 20_000, {}, False),
    ("BYOL", 600, 56_902, {"preset": "dradjat2025", "batch_size": 128}, False),
    ("SCARF", 8_000, 20_000, {}, True),
]
QUICK = [
    ("SCARF", 300, 20_000, {}, False),
    ("VIME", 400, 10_000, {"batch_size": 64}, False),
    ("BYOL", 300, 40_000, {}, False),
]


def measure(method: str, n: int, n_genes: int, parameters: dict, on_disk: bool) -> dict:
    """Return what a fit takes and what was said of it, in a new process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "X.h5" if on_disk else None
        if path is not None:
            with h5py.File(path, "w") as file:
                rows = file.create_dataset("X", (n, n_genes), "float32")
                for start in range(0, n, PIECE):
                    stop = min(start + PIECE, n)
                    rows[start:stop] = matrix(stop - start, n_genes)
        arguments = [method, n, n_genes, parameters, path and str(path)]
        command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
        return json.loads(
            subprocess.check_output(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        )


def measure_here(method: str, n: int, n_genes: int, parameters: dict, path: str | None) -> dict:
    """Fit, then estimate."""
    torch.set_num_threads(1)
    engine.time = SimpleNamespace(perf_counter=time.process_time)
    how = {"max_epochs": EPOCHS, "device": "cpu", "random_state": 0}
    METHODS[method](**how).fit(matrix(64, 64))
    parameters = dict(parameters)
    preset = parameters.pop("preset", None)
    make = METHODS[method] if preset is None else METHODS[method].from_preset
    estimator = make(*[preset] * (preset is not None), **parameters, **how)
    X = matrix(n, n_genes) if path is None else h5py.File(path)["X"]
    before = memory("VmRSS")
    estimator.fit(X)
    found = {"fit": memory("VmHWM") - before}
    found["epoch"] = median(epoch["seconds"] for epoch in estimator.history_[1:])
    said = estimate_resources(n, n_genes, estimator, on_disk=path is not None)
    return found | {
        "batch": said.batch_size,
        "X": said.matrix_bytes,
        "fit said": said.fit_bytes,
        "epoch said": said.seconds_per_epoch,
    }


def row(shape: tuple, found: dict) -> str:
    """Return a line of the table."""
    method, n, n_genes, parameters, on_disk = shape
    special = [str(v) for k, v in parameters.items() if k != "batch_size"] + ["on disk"] * on_disk
    cells = [", ".join([method, *special]), f"{n:,} × {n_genes:,}", str(found["batch"])]
    cells += [f"{found[k] / 1e6:,.0f}" for k in ("X", "fit said", "fit")]
    cells.append(f"{found['fit said'] / found['fit']:.2f}")
    cells += [f"{found[k]:.2f}" for k in ("epoch said", "epoch")]
    cells.append(f"{found['epoch said'] / found['epoch']:.2f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three small shapes; keep nothing")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure_here(*json.loads(arguments.measure))))
        return
    lines = [
        "| method | samples × genes | batch | X, MB | fit, estimated | measured | ratio "
        "| epoch, s, estimated | measured | ratio |",
        "|---" * 10 + "|",
    ]
    for shape in QUICK if arguments.quick else SHAPES:
        lines.append(row(shape, measure(*shape)))
        print(lines[-1], flush=True)
    print(machine())
    if not arguments.quick:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
