"""What is said of memory and time before a fit."""

import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sslgex import (
    ByolTransformer,
    ScarfTransformer,
    SSLClassifier,
    VimeTransformer,
    estimate_resources,
)
from sslgex._rehearsal import Batch, _steps, objective_of
from sslgex._training.device import free_memory
from sslgex._training.engine import optimizers
from sslgex._training.memory import free_in_groups
from sslgex._training.tally import Heap, Tally, pretend, pretending, without_memory

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "resources.py"
METHODS = [ScarfTransformer, VimeTransformer, ByolTransformer]
SMALL = {"hidden_layer_sizes": (16,), "device": "cpu", "max_epochs": 2}
MB = 10**6


def estimate(n_samples, n_genes, method="scarf", **how):
    return estimate_resources(n_samples, n_genes, method, **{"probe": False, "memory": 1e12, **how})


# ------------------------------------------------------------------------------ as measured


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason="benchmarks are not in the sdist")
def test_the_memory_of_a_fit_is_within_a_quarter_of_the_estimate():
    command = [sys.executable, str(BENCHMARK), "--quick"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows] == ["SCARF", "VIME", "BYOL"]
    for row in rows:
        assert 0.75 < float(row[6]) < 1.25, row


# ------------------------------------------------------------------------------ what it depends on


def test_the_matrix_is_what_its_values_take():
    assert estimate(1_000, 200).matrix_bytes == 1_000 * 200 * 4
    assert estimate(1_000, 200, dtype=np.float64).matrix_bytes == 1_000 * 200 * 8
    assert estimate(1_000, 200, dtype="int16").matrix_bytes == 1_000 * 200 * 2


def test_a_large_matrix_on_disk_stays_there_and_a_small_one_does_not():
    large, small = (estimate(n, 10_000, on_disk=True) for n in (50_000, 1_000))
    assert large.matrix_bytes == 0
    assert small.matrix_bytes == 1_000 * 10_000 * 4
    # Two windows and the donors.
    assert large.fit_bytes - estimate(50_000, 10_000).fit_bytes > 3 * 230 * MB
    # However large the file is.
    larger = estimate(200_000, 10_000, on_disk=True)
    assert abs(larger.fit_bytes - large.fit_bytes) < 50 * MB


@pytest.mark.parametrize("cls", METHODS)
def test_weights_and_their_moments_are_counted(cls):
    """The weight, two moments, the last good one and, in BYOL, the target's; and some buffers."""
    few, many = (
        estimate(
            300,
            4_000,
            cls(**SMALL | {"architecture": "mlp", "batch_size": 8, "hidden_layer_sizes": (n, 8)}),
        ).fit_bytes
        for n in (1_000, 2_000)
    )
    n_weights = 4_000 * 1_000
    copies = 5 if cls is ByolTransformer else 4
    assert many - few > copies * 4 * n_weights
    assert many - few < (copies + 2) * 4 * n_weights


@pytest.mark.parametrize("cls", METHODS)
def test_memory_grows_with_the_batch_and_with_the_genes(cls):
    sizes = [estimate(5_000, 3_000, cls(batch_size=b)).fit_bytes for b in (256, 1_024, 4_096)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 4_096 * 3_000 * 4 * 2  # the batch and its view
    assert estimate(500, 30_000, cls()).fit_bytes > 2 * estimate(500, 3_000, cls()).fit_bytes


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cls", METHODS)
def test_tensors_without_values_are_counted_like_those_with(cls, precision):
    """The steps gone through are those of the training: the same bytes when there are values."""
    estimator, n_genes = cls(**SMALL | {"batch_size": 8}, dropout=0.1), 9_000  # three blocks
    peaks = []
    for values in (True, False):
        heap, of = Heap(), (estimator, n_genes, 10)
        objective = None if values else without_memory(objective_of, *of)
        with Tally(heap) if values else pretending(heap) as tally:
            if objective is None:
                objective = objective_of(*of)
            else:
                pretend(objective)
            updates = optimizers(objective, lr=1e-3, weight_decay=0.0)
            tally.heap = heap = Heap()
            _steps(objective, updates, partial(Batch, 8, n_genes, heap, 0), precision)
        peaks.append(heap.peak)
    assert peaks[0] == pytest.approx(peaks[1], rel=0.01)
    assert peaks[0] > 2 * 8 * n_genes * 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")
def test_the_rows_on_a_gpu_are_counted_there():
    found = [estimate(n, 5_000, ScarfTransformer(device="cuda")) for n in (2_000, 12_000)]
    more = found[1].device_bytes - found[0].device_bytes
    assert more == pytest.approx(10_000 * 5_000 * 4, rel=0.1)
    assert found[1].device_memory > found[1].device_bytes


def test_what_is_large_goes_back_to_the_system_and_what_is_small_stays():
    heap = Heap()
    large = 64 * 2**20
    with heap.holding(large):
        assert heap.held == large
    assert heap.held == 0
    with heap.holding(1000, 1000):
        pass
    assert heap.held == 2000
    with heap.holding(large, 500):
        assert heap.held == large + 2000  # the small one finds room
    assert heap.peak == large + 2000


# ------------------------------------------------------------------------------ does it fit


def test_what_fits():
    needed = estimate(2_000, 1_000)
    total = needed.matrix_bytes + needed.fit_bytes
    assert estimate(2_000, 1_000, memory=total).fits
    assert not estimate(2_000, 1_000, memory=total - 1).fits


def test_the_largest_batch_fits_and_twice_that_does_not():
    memory = 200e6
    found = estimate(10_000, 2_000, memory=memory)
    largest = found.largest_batch_size
    assert 2 <= largest < 8_192
    assert largest & (largest - 1) == 0
    fits = [
        estimate(10_000, 2_000, ScarfTransformer(batch_size=b), memory=memory).fits
        for b in (largest, 2 * largest)
    ]
    assert fits == [True, False]
    assert estimate(1_000, 100).largest_batch_size == 512  # the last that the samples fill


def test_where_nothing_fits_nothing_is_measured():
    found = estimate_resources(10_000, 2_000, memory=50e6)
    assert not found.fits
    assert found.largest_batch_size == 0
    assert math.isnan(found.seconds_per_epoch)
    assert "does not fit, whatever the batches" in str(found)


def test_the_limits_of_a_batch_job_count(tmp_path):
    """Of version 2, the group's own and those around it; what is cached of files can be had."""
    own = tmp_path / "own"
    own.write_text("0::/slurm/job_7\n")
    root = tmp_path / "cgroup"
    for name, most, now in (("slurm", "max", 5), ("slurm/job_7", 1000, 400)):
        (root / name).mkdir(parents=True)
        (root / name / "memory.max").write_text(f"{most}\n")
        (root / name / "memory.current").write_text(f"{now}\n")
        (root / name / "memory.stat").write_text("anon 300\ninactive_file 100\n")
    assert free_in_groups(root, own) == [700]
    (root / "slurm" / "memory.max").write_text("600\n")
    assert sorted(free_in_groups(root, own)) == [695, 700]


def test_the_limits_of_version_1_count_and_the_lack_of_any(tmp_path):
    own = tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/x\n9:memory:/docker/ab\n")
    root = tmp_path / "cgroup"
    (root / "memory").mkdir(parents=True)  # the container sees its own group as the root
    (root / "memory" / "memory.limit_in_bytes").write_text("2000")
    (root / "memory" / "memory.usage_in_bytes").write_text("500")
    (root / "memory" / "memory.stat").write_text("total_inactive_file 50\n")
    assert free_in_groups(root, own) == [1550]
    assert free_in_groups(tmp_path / "nowhere", own) == []
    assert free_in_groups(root, tmp_path / "no file") == []


def test_what_is_free_is_what_is_taken_for_memory():
    found = estimate_resources(100, 20, ScarfTransformer(**SMALL), probe=False)
    assert found.memory > 0
    assert found.memory == pytest.approx(free_memory(torch.device("cpu")), rel=0.5)


@pytest.mark.parametrize("on_disk", [True, False])
def test_samples_that_need_not_exist_take_no_memory(on_disk):
    """They were listed, and so were the batches: 80 TB of ten trillion."""
    scarf = ScarfTransformer(early_stopping=on_disk)
    found = estimate(10**13, 2_000, scarf, on_disk=on_disk)
    assert found.fits is on_disk
    assert (found.largest_batch_size > 0) is on_disk


# ------------------------------------------------------------------------------ time


@pytest.mark.parametrize("cls", METHODS)
def test_time_is_measured_without_touching_the_pretrainer(cls):
    estimator = cls(**SMALL, validation_fraction=0.2)
    before = vars(estimator).copy()
    state = torch.random.get_rng_state()
    found = estimate(400, 50, estimator, probe=True)
    assert 0 < found.seconds_per_epoch < 60
    assert found.n_epochs == 2
    assert vars(estimator) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_time_is_in_proportion_to_the_samples():
    """From some thousands of samples on the same rows are measured, whatever their number."""
    seconds = [
        estimate(n, 20_000, ScarfTransformer(**SMALL), on_disk=True, probe=True).seconds_per_epoch
        for n in (10_000, 1_000_000)
    ]
    assert 20 < seconds[1] / seconds[0] < 500


def test_epochs_are_those_of_the_fit():
    X = np.random.default_rng(0).normal(size=(60, 20))
    scarf = ScarfTransformer((4,), batch_size=32, device="cpu", lr=1e-6)
    assert estimate(60, 20, scarf).n_epochs == scarf.fit(X).n_iter_
    assert estimate(60, 20, scarf).batch_size == 32
    assert estimate(10, 20, ScarfTransformer()).batch_size == 10


# ------------------------------------------------------------------------------ arguments


def test_methods_by_name_class_and_instance_are_one():
    how = {"n_samples": 100, "n_genes": 30}
    by_name, by_class, by_instance = (
        estimate(method=method, **how) for method in ("byol", ByolTransformer, ByolTransformer())
    )
    assert str(by_name) == str(by_class) == str(by_instance)
    assert by_name.method == "ByolTransformer"


def test_the_summary_says_what_the_attributes_do():
    found = estimate(2_000, 1_000, memory=8e9)
    lines = str(found).splitlines()
    assert lines[0] == "ScarfTransformer on 2,000 samples x 1,000 genes, batches of 256"
    assert lines[1].startswith("  memory: 8 MB for X + ")
    assert lines[1].endswith(" of 8.0 GB")
    assert lines[2] == "  fits with batches of up to 1,024"
    assert lines[3] == f"  time: {found.n_epochs} epochs at most, not measured"
    # What is said to fit is no smaller than the batches that are said to be.
    assert str(estimate(100, 1_000)).splitlines()[2] == "  fits with batches of up to 100"


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((-1, 10), ValueError, "n_samples must be an integer of at least 2, got -1"),
        ((1, 10), ValueError, "n_samples must be an integer of at least 2, got 1"),
        ((10, 0), ValueError, "n_genes must be an integer of at least 1, got 0"),
        ((10.5, 10), ValueError, r"n_samples must be an integer of at least 2, got 10\.5"),
        ((10, 10, "simclr"), ValueError, "'simclr' is none of .*'byol', 'scarf', 'vime'"),
        ((10, 10, 3), TypeError, "got int"),
        ((10, 10, SSLClassifier(ScarfTransformer())), TypeError, r"clf\.encoder"),
        ((10, 10, ScarfTransformer(batch_size=1)), ValueError, "batch_size"),
        ((10, 10, ByolTransformer(early_stopping=True)), ValueError, "early_stopping=True"),
        ((10, 10, ScarfTransformer(corruption_rate=0.01)), ValueError, "corrupts no gene"),
        ((10, 10, ScarfTransformer(device="abacus")), ValueError, "is not a device"),
    ],
)
def test_bad_arguments(arguments, kind, said):
    with pytest.raises(kind, match=said):
        estimate_resources(*arguments)


@pytest.mark.parametrize("memory", [0, -5, math.nan, math.inf, "16 GB"])
def test_bad_memory(memory):
    with pytest.raises(ValueError, match="memory must be a positive number of bytes"):
        estimate_resources(10, 10, memory=memory)


@pytest.mark.parametrize("dtype", ["object", "complex64", "no such"])
def test_bad_dtype(dtype):
    with pytest.raises(ValueError, match="dtype must be one of real numbers"):
        estimate_resources(10, 10, dtype=dtype)
