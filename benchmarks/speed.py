"""How fast is a training step, how near to the machine's limit, and against whom?

    python benchmarks/speed.py            # the tables of docs/performance.md
    python benchmarks/speed.py --quick    # the same at a small size, against rot

Contenders take turns within one process; medians. The limit is the fastest matrix product that
torch manages in the same run. ``pip install ts3l pytorch_lightning torchmetrics`` adds ts3l.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from speed_contenders import HIDDEN, PASSES, ours, plain, ts3l

GENES = (2_000, 20_000, 56_902)
ROWS, BATCH = 1_024, 128
GOALS = {  # (method, opponent): what the ratio should be at each number of genes
    ("SCARF", "ts3l"): (35, 14, 8),
    ("SCARF", "plain"): (1.3, 2.2, 2.8),
    ("VIME", "ts3l"): (None, 3.7, 5),
    ("VIME", "plain"): (None, None, 2.2),
    ("BYOL", "plain"): (None, None, 2.5),
}
LIMIT_SHARE = {torch.float32: 0.55, torch.bfloat16: 0.75}


def alternated(contenders: dict[str, Callable], seconds: float) -> dict[str, list[float]]:
    """Call the contenders in turn for so long, at least three times each; return their times."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for step in contenders.values():
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, step in contenders.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def limit(dtype: torch.dtype) -> float:
    """Return the operations per second of the fastest of some large matrix products."""
    rates = []
    for m, k, n in ((256, 16_384, 256), (256, 256, 16_384), (2_048, 2_048, 2_048)):
        a, b = torch.randn(m, k, dtype=dtype), torch.randn(k, n, dtype=dtype)
        times = alternated({"": lambda a=a, b=b: a @ b}, 1.0)[""]
        rates.append(2 * m * k * n / median(times))
    return max(rates)


def steps(sizes: tuple[int, ...], seconds: float) -> list[dict]:
    """Time the steps of all methods by all contenders, and ours in bfloat16."""
    found = []
    for n_genes in sizes:
        X = np.random.default_rng(0).normal(8, 2, size=(ROWS, n_genes)).astype(np.float32)
        limits = {dtype: limit(dtype) for dtype in LIMIT_SHARE}
        for method, passes in PASSES.items():
            contenders = {"ours": ours(method, X, BATCH), "plain": plain(method, X, BATCH)}
            contenders["ours, bfloat16"] = ours(method, X, BATCH, torch.bfloat16)
            if find_spec("ts3l") and method != "BYOL":
                contenders["ts3l"] = ts3l(method, X, BATCH)
            times = {k: median(v) for k, v in alternated(contenders, seconds).items()}
            work = passes * 2 * BATCH * n_genes * HIDDEN
            row = {"method": method, "genes": n_genes, **times}
            row["share"] = work / times["ours"] / limits[torch.float32]
            row["share, bfloat16"] = work / times["ours, bfloat16"] / limits[torch.bfloat16]
            found.append(row)
            print(
                {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True
            )
    return found


def engine_overhead(n_genes: int, batch_size: int, seconds: float) -> float:
    """Return the loop's time over that of its bare steps."""
    from speed_contenders import bare, epoch

    X = np.random.default_rng(0).normal(8, 2, size=(ROWS, n_genes)).astype(np.float32)
    contenders = {"loop": epoch("SCARF", X, batch_size), "bare": bare("SCARF", X, batch_size)}
    times = alternated(contenders, seconds)
    return median(times["loop"]) / median(times["bare"])


def transforming(n_genes: int, seconds: float) -> float:
    """Return the time of torch's stock forward, standardisation included, over `transform`'s."""
    from sslgex import ScarfTransformer

    X = np.random.default_rng(0).normal(8, 2, size=(ROWS, n_genes)).astype(np.float32)
    scarf = ScarfTransformer.from_preset("dradjat2025", max_epochs=1, validation_fraction=None)
    scarf.fit(X[:256])
    net = scarf.encoder_
    mean, scale = (torch.from_numpy(a).float() for a in (scarf.mean_, scarf.scale_))

    @torch.no_grad()
    def stock():
        net((torch.from_numpy(X) - mean) / scale)

    times = alternated({"ours": lambda: scarf.transform(X), "stock": stock}, seconds)
    return median(times["stock"]) / median(times["ours"])


def tuning(n_genes: int, seconds: float) -> tuple[float, float]:
    """Return how much faster fine-tuning is: a step of 8 than torch's, a frozen run than embedding."""
    raise NotImplementedError
