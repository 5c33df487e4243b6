"""How long the study's data sets take to build: files of their layout, filled with random values.

The real files were not at hand. Each set is written at a scale, built in a process of its own, and
its seconds and peak memory are printed:

    python benchmarks/build_datasets.py --tcga 500 --archs4 5000
"""

import argparse
import gzip
import multiprocessing
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from sslgex.datasets import build_archs4, build_tcga, paper_split

TCGA_GENES, ARCHS4_GENES = 60_483, 20_000


def write_tcga(folder: Path, n_samples: int) -> Path:
    """Write one project: half of the genes are zero, the other values have all their digits."""
    rng = np.random.default_rng(0)
    barcodes = [f"TCGA-A1-{i:04d}-{'11' if i % 10 == 0 else '01'}A" for i in range(n_samples)]
    path = folder / "TCGA-BRCA.star_tpm.tsv.gz"
    texts = rng.gamma(1, 3, 20_000).astype(str)
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write("\t".join(["Ensembl_ID", *barcodes]) + "\n")
        for i in range(TCGA_GENES):
            values = rng.choice(texts, n_samples) if i % 2 else ["0.0"] * n_samples
            file.write("\t".join([f"ENSG{i:011d}.1", *values]) + "\n")
    return path


def write_archs4(folder: Path, n_samples: int) -> Path:
    """Write samples of nine organs and none in turn, chunked as version 2.5 is."""
    rng = np.random.default_rng(0)
    organs = ["liver", "lung", "colon", "brain", "heart", "skin", "kidney", "spleen", "breast", "?"]
    path = folder / "human_gene.h5"
    level = rng.lognormal(2, 3, size=(ARCHS4_GENES, 1))
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data/expression",
            shape=(ARCHS4_GENES, n_samples),
            dtype=np.uint32,
            chunks=(2000, 1),
            compression="gzip",
        )
        for start in range(0, n_samples, 500):
            stop = min(start + 500, n_samples)
            noise = rng.gamma(2, 0.5, (ARCHS4_GENES, stop - start))
            data[:, start:stop] = rng.poisson(np.minimum(level * noise, 1e6))
        file["meta/genes/symbol"] = [f"SYM{i}" for i in range(ARCHS4_GENES)]
        file["meta/genes/ensembl_gene"] = [f"ENSG{i:011d}" for i in range(ARCHS4_GENES)]
        samples = {
            "geo_accession": [f"GSM{i}" for i in range(n_samples)],
            "series_id": [f"GSE{i // 12}" for i in range(n_samples)],
            "title": [f"{organs[i // 12 % 10]}_{i}" for i in range(n_samples)],
            "source_name_ch1": ["tissue"] * n_samples,
            "characteristics_ch1": ["sex: unknown,age: adult"] * n_samples,
        }
        for field, values in samples.items():
            file[f"meta/samples/{field}"] = values
        file["meta/samples/singlecellprobability"] = rng.random(n_samples) * 0.6
    return path


def peak() -> float:
    """Return this process's peak memory in GB (getrusage tells that of its parent, if larger)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 2**20


def timed(queue, name, build, path) -> None:
    """Build in this process, and tell seconds, those of the processor, and peak memory."""
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    adata = build(path, verbose=0)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    queue.put(
        f"{name}: a file of {path.stat().st_size / 2**20:,.0f} MB, {adata.n_obs:,} samples x "
        f"{adata.n_vars:,} genes in {seconds:.1f} s, {cpu:.1f} s of processor; "
        f"{peak() - before:.2f} GB above the imports, of which X has {adata.X.nbytes / 2**30:.2f}"
    )


def main() -> None:
    """Write, build, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tcga", type=int, default=500, help="samples of a project")
    parser.add_argument("--archs4", type=int, default=5000, help="samples of the file")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")  # a forked child would start at our peak
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [
            ("TCGA", build_tcga, write_tcga(folder, arguments.tcga)),
            ("ARCHS4", build_archs4, write_archs4(folder, arguments.archs4)),
        ]
        for what, build, path in files:
            queue = context.Queue()
            process = context.Process(target=timed, args=(queue, what, build, path))
            process.start()
            print(queue.get(timeout=3600), flush=True)
            process.join()
    for what, n, groups, size in [
        ("TCGA", 9349, np.arange(9349) // 1.08, 0.11),
        ("ARCHS4", 53_282, np.arange(53_282) // 12, 1142),
    ]:
        start = time.process_time()
        y = np.random.default_rng(0).integers(19, size=n)
        parts = paper_split(y, groups, test_size=size, validation_size=size, random_state=0)
        sizes = [len(part) for part in parts]
        cpu = time.process_time() - start
        print(f"split of {what} with groups: {sizes} in {cpu:.1f} s of processor", flush=True)


if __name__ == "__main__":
    main()
