"""Does pretraining reach beyond memory, how fast is a step from disk, and what does it cost?

    python benchmarks/larger_than_memory.py                  # 6 GB in every format; an hour
    python benchmarks/larger_than_memory.py --formats zarr   # one line of the table anew
    python benchmarks/larger_than_memory.py --gigabytes 1    # the same, smaller; keeps nothing
    python benchmarks/larger_than_memory.py --quick          # a few MB, against rot; keeps nothing

Every format is written to a temporary folder, then fitted and embedded by a process that may
allocate 2 GB (RLIMIT_DATA). The pass for the statistics comes first, so that an epoch reads from
the page cache if the machine has memory for the file. As many steps, about, are timed before and
after on 400 MB in memory, in the same process.
The linear probe takes the embeddings of a real data set that is made to stream: its samples sorted
by class, windows of an eighth of them, half of them as donors.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import anndata
import h5py
import numpy as np
import pandas as pd
import panel_data
import pyarrow
import pyarrow.parquet
import scipy.sparse as sp
import zarr
from label_efficiency import machine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslgex import ScarfTransformer, _inputs
from sslgex._npy import write_npy
from sslgex._training import stream
from sslgex.datasets import cache_rows, samples_first

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "tables" / "larger_than_memory.md"
LIMIT = 2 * 10**9  # bytes that a process may allocate
BATCH = 256
BLOCK = 512  # rows that are made at a time
ROW_GROUP = 20 * 10**6  # bytes of a row group of parquet, of no fewer rows than that
FACTORS = 32
IN_MEMORY = 400 * 10**6  # bytes of the matrix whose steps are timed in memory
EPOCHS = 10  # of it: an epoch of 6 GB has about as many steps
GOAL = 0.6  # of the rate of steps in memory
SEEDS = 5


# ------------------------------------------------------------------------------ the matrices


def values(n: int, n_genes: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield blocks of rows that have something in common."""
    axes = np.random.default_rng(seed).standard_normal((FACTORS, n_genes), dtype=np.float32)
    for start in range(0, n, BLOCK):
        rng = np.random.default_rng([seed, start])
        size = min(BLOCK, n - start)
        factors = rng.standard_normal((size, FACTORS), dtype=np.float32)
        yield factors @ axes / 4 + rng.standard_normal((size, n_genes), dtype=np.float32)


def bounds(n: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, n, BLOCK), n]))


def filled(dataset, n: int, n_genes: int):
    for (start, stop), block in zip(bounds(n), values(n, n_genes), strict=True):
        dataset[start:stop] = block


def write_memmap(folder: Path, n: int, n_genes: int) -> None:
    write_npy(folder / "X.npy", values(n, n_genes), (n, n_genes), np.float32)


def write_hdf5(folder: Path, n: int, n_genes: int) -> None:
    with h5py.File(folder / "X.h5", "w") as file:
        filled(file.create_dataset("X", (n, n_genes), np.float32), n, n_genes)


def write_zarr(folder: Path, n: int, n_genes: int) -> None:
    how = {"shape": (n, n_genes), "chunks": (64, min(n_genes, 2_000)), "dtype": np.float32}
    filled(zarr.create_array(folder / "X.zarr", **how), n, n_genes)


def write_parquet(folder: Path, n: int, n_genes: int) -> None:
    names = [f"gene{j}" for j in range(n_genes)]
    size = max(BLOCK, ROW_GROUP // (4 * n_genes))
    for part, some in enumerate(np.array_split(np.arange(n), 48)):
        with pyarrow.parquet.ParquetWriter(
            folder / f"X{part:02}.parquet", pyarrow.schema([(name, "float") for name in names])
        ) as file:
            rows = np.concatenate(list(values(len(some), n_genes, part)))
            for at in range(0, len(rows), size):
                group = rows[at : at + size].T
                columns = [pyarrow.array(np.ascontiguousarray(column)) for column in group]
                file.write_table(pyarrow.table(columns, names=names))


def write_h5ad(folder: Path, n: int, n_genes: int) -> None:
    """Write the frame of an AnnData, then its matrix block by block."""
    _empty_h5ad(folder, n, n_genes, np.zeros((0, n_genes), np.float32))
    with h5py.File(folder / "X.h5ad", "a") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        filled(file.create_dataset("X", (n, n_genes), np.float32), n, n_genes)
        file["X"].attrs.update(attributes)


def write_csr(folder: Path, n: int, n_genes: int) -> None:
    """Write an AnnData half of whose values are zero, which takes as much as a dense one."""
    _empty_h5ad(folder, n, n_genes, sp.csr_matrix((0, n_genes), dtype=np.float32))
    with h5py.File(folder / "X.h5ad", "a") as file:
        X = file["X"]
        for name in ("data", "indices", "indptr"):
            kind = {"data": np.float32, "indices": np.int32, "indptr": np.int64}[name]
            del X[name]
            X.create_dataset(name, (1 if name == "indptr" else 0,), kind, maxshape=(None,))
        for block in values(n, n_genes):
            rows, end = sp.csr_matrix(np.maximum(block, 0)), X["indptr"][-1]
            for name, more in (("data", rows.data), ("indices", rows.indices)):
                X[name].resize(len(X[name]) + len(more), axis=0)
                X[name][-len(more) :] = more
            X["indptr"].resize(len(X["indptr"]) + rows.shape[0], axis=0)
            X["indptr"][-rows.shape[0] :] = rows.indptr[1:] + end
        X.attrs["shape"] = (n, n_genes)


def _empty_h5ad(folder: Path, n: int, n_genes: int, X) -> None:
    names = [f"gene{j}" for j in range(n_genes)]
    anndata.AnnData(X, var=pd.DataFrame(index=names)).write_h5ad(folder / "X.h5ad")
    obs = pd.DataFrame(index=[f"sample{i}" for i in range(n)])
    with h5py.File(folder / "X.h5ad", "a") as file:
        del file["obs"]
        anndata.io.write_elem(file, "obs", obs)


def write_archs4(folder: Path, n: int, n_genes: int) -> None:
    """Write counts of genes x samples in gzip; h5py chooses the chunks."""
    with h5py.File(folder / "X.h5", "w") as file:
        how = {"compression": "gzip", "chunks": True}
        dataset = file.create_dataset("data/expression", (n_genes, n), np.uint32, **how)
        wide = dataset.chunks[1] * -(-BLOCK // dataset.chunks[1])  # whole chunks
        waiting: list[np.ndarray] = []
        at = 0
        for block in values(n, n_genes):
            waiting.append(np.exp2(3 + block / 2).astype(np.uint32))
            if sum(map(len, waiting)) >= wide:
                at, waiting = _written(dataset, at, waiting, wide)
        _written(dataset, at, waiting, n)


def _written(dataset, at: int, waiting: list[np.ndarray], n: int) -> tuple[int, list]:
    rows = np.concatenate(waiting)
    dataset[:, at : at + min(n, len(rows))] = rows[:n].T
    return at + n, [rows[n:]]


# ------------------------------------------------------------------------------ how they are read


def open_archs4(folder: Path):
    return samples_first(h5py.File(folder / "X.h5")["data/expression"])


def open_parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def cached(open_format):
    """Return what opens the rows that `cache_rows` makes of a format."""
    return lambda folder: cache_rows(open_format(folder), folder / "rows.npy")


def open_h5ad(folder: Path):
    return anndata.read_h5ad(folder / "X.h5ad", backed="r")


FORMATS = {
    "memmap": (write_memmap, lambda folder: np.load(folder / "X.npy", mmap_mode="r")),
    "HDF5": (write_hdf5, lambda folder: h5py.File(folder / "X.h5")["X"]),
    "zarr": (write_zarr, lambda folder: zarr.open_array(folder / "X.zarr", mode="r")),
    "h5ad": (write_h5ad, open_h5ad),
    "h5ad, CSR": (write_csr, open_h5ad),
    "parquet": (write_parquet, open_parts),
    "parquet by cache_rows": (write_parquet, cached(open_parts)),
    "genes x samples, gzip": (write_archs4, open_archs4),
    "the same by cache_rows": (write_archs4, cached(open_archs4)),
}


# ------------------------------------------------------------------------------ what is measured


class Timed(ScarfTransformer):
    """Also tells how long the epochs took: seconds, and seconds of all processors."""

    def _pretrain(self, *args):
        before = clocks()
        task = super()._pretrain(*args)
        self.took_ = clocks() - before
        return task


def clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def measure(name: str, folder: Path, n_genes: int) -> dict:
    """Fit and embed a format within the limit, in this process; time steps in memory around it."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    memory = [steps_in_memory(n_genes)]
    started = time.perf_counter()
    X = FORMATS[name][1](folder)
    opened = time.perf_counter()
    fitted = pretrainer().fit(X)
    done = time.perf_counter()
    Z = fitted.transform(X, out=folder / "Z.npy")
    embedded = time.perf_counter()
    memory.append(steps_in_memory(n_genes))
    step = fitted.took_ / n_steps(len(Z))
    return {
        "opening": opened - started,
        "before": done - opened - fitted.took_[0],
        "step": step[0],
        "rates": (np.mean(memory, axis=0) / step).tolist(),
        "transform": embedded - done,
    }


def steps_in_memory(n_genes: int) -> np.ndarray:
    """Return the seconds of a step of an epoch in memory, of the clock and of all processors."""
    n = IN_MEMORY // (4 * n_genes)
    X, at = np.empty((n, n_genes), np.float32), 0
    for block in values(n, n_genes):
        X[at : at + len(block)] = block
        at += len(block)
    return pretrainer(max_epochs=EPOCHS).fit(X).took_ / (EPOCHS * n_steps(n))


def pretrainer(**params) -> Timed:
    how = {"max_epochs": 1, "batch_size": BATCH, "random_state": 0, "device": "cpu"}
    return Timed(**{**how, **params})


def n_steps(n: int) -> int:
    return -(-n // BATCH)


def in_a_new_process(*arguments) -> dict:
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    # Arrow's own allocator reserves addresses by the gigabyte, which the limit would count.
    how = {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return json.loads(subprocess.check_output(command, env=os.environ | how))


def rates(formats: list[str], n: int, n_genes: int, quick: bool) -> list[str]:
    """Return the lines of the table of formats."""
    lines = [
        f"| {n:,} x {n_genes:,}, 1 thread and the reader | file, GB | before the epoch, s | "
        f"step, ms | rate, of that in memory (aim: {GOAL}) | rate by processor time | "
        "transform, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in formats:
        with TemporaryDirectory() as kept:
            folder = Path(kept)
            FORMATS[name][0](folder, n, n_genes)
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            try:
                found = in_a_new_process("quick" if quick else "format", name, folder, n_genes)
            except subprocess.CalledProcessError:  # it has said why
                lines.append(f"| {name} | {size / 1e9:.2f} | failed | | | | |")
                print(lines[-1], flush=True)
                continue
        note = f" (writing the rows {found['opening']:.0f} s)" if "cache_rows" in name else ""
        lines.append(
            f"| {name}{note} | {size / 1e9:.2f} | {found['before']:.0f} | "
            f"{1e3 * found['step']:.0f} | {found['rates'][0]:.2f} | {found['rates'][1]:.2f} | "
            f"{found['transform']:.0f} |"
        )
        print(lines[-1], flush=True)
    return lines


def probe(folder: Path, n_seeds: int, epochs) -> list[str]:
    """Return the lines of the table of the linear probe."""
    data = panel_data.load("tcga_11paired", folder)
    order = np.argsort(data.y.astype(str), kind="stable")  # the worst order for blocks
    X, y, groups = data.X.to_numpy()[order], data.y[order], data.groups[order]
    scores: dict[str, list[float]] = {"memory": [], "disk": []}
    for seed in range(n_seeds):
        found: dict[str, list[float]] = {"memory": [], "disk": []}
        split = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(X, y, groups)
        for train, test in split:
            for where in scores:
                Z = embedded(X, np.sort(train), where, seed, epochs)
                clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2_000))
                found[where].append(
                    clf.fit(Z[np.sort(train)], y[np.sort(train)]).score(Z[test], y[test])
                )
        for where, each in found.items():
            scores[where].append(100 * mean(each))
        print(seed, {where: round(each[-1], 2) for where, each in scores.items()}, flush=True)
    gain = np.subtract(scores["disk"], scores["memory"])
    said = {where: f"{mean(s):.2f} ± {stdev(s):.2f}" for where, s in scores.items()}
    return [
        "| linear probe, accuracy in % | in memory | from disk | difference |",
        "|---|---|---|---|",
        f"| {data.title}, {n_seeds} seeds of 5 folds, ± SD over seeds | {said['memory']} | "
        f"{said['disk']} | {gain.mean():+.2f} ± {gain.std(ddof=1):.2f} |",
    ]


def embedded(X: np.ndarray, train: np.ndarray, where: str, seed: int, epochs) -> np.ndarray:
    """Return the embedding of all samples by an encoder of the training samples."""
    estimator = pretrainer(max_epochs=epochs, random_state=seed)
    if where == "memory":
        return estimator.fit(X[train]).transform(X)
    before = _inputs.IN_MEMORY, stream.WINDOW, stream.DONORS, stream.LEAST_DONORS
    size = X[train].nbytes
    _inputs.IN_MEMORY, stream.WINDOW, stream.DONORS = 0, size // 8, size // 2
    stream.LEAST_DONORS = 2
    try:
        with TemporaryDirectory() as folder:
            np.save(Path(folder, "X.npy"), X[train])
            return estimator.fit(np.load(Path(folder, "X.npy"), mmap_mode="r")).transform(X)
    finally:
        _inputs.IN_MEMORY, stream.WINDOW, stream.DONORS, stream.LEAST_DONORS = before


def shrink() -> None:
    """Let a few MB be more than memory holds."""
    global IN_MEMORY
    IN_MEMORY = 10**6
    _inputs.IN_MEMORY, stream.WINDOW, stream.DONORS, stream.LEAST_DONORS = 0, 2**20, 2**20, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--no-probe", action="store_true")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        what, name, folder, n_genes = args.measure
        if what == "quick":
            shrink()
        print(json.dumps(measure(name, Path(folder), int(n_genes))))
        return
    n_genes = 400 if args.quick else args.genes
    n = int((0.004 if args.quick else args.gigabytes) * 1e9 / (4 * n_genes))
    free = shutil.disk_usage(os.environ.get("TMPDIR", "/tmp")).free
    if free < 3 * 4 * n * n_genes:
        raise SystemExit(
            f"{free / 1e9:.0f} GB of disk are free; {12 * n * n_genes / 1e9:.0f} needed."
        )
    tables = [rates(args.formats, n, n_genes, args.quick)]
    if not args.no_probe:
        tables.append(probe(args.data, 2 if args.quick else SEEDS, 1 if args.quick else "auto"))
    for table in tables:
        print("\n".join(table), "\n")
    print(machine())
    if not args.quick and args.gigabytes >= 6:
        keep(tables)


def named(row: str) -> str:
    """Return what a line of a table is about, without remarks."""
    return row.removeprefix("| ").split(" |")[0].split(" (")[0]


def keep(tables: list[list[str]]) -> None:
    """Put lines into the tables of the documentation, in place of those of the same name."""
    old = TABLE.read_text(encoding="utf-8").split("\n\n") if TABLE.exists() else []
    kept = {text.splitlines()[0]: text.splitlines() for text in old}
    for head, rule, *rows in tables:
        found = {named(row): row for row in [*kept.get(head, ())[2:], *rows]}
        ordered = [found.pop(name) for name in FORMATS if name in found]
        kept[head] = [head, rule, *ordered, *found.values()]
    text = "\n\n".join("\n".join(table) for table in kept.values())
    TABLE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
