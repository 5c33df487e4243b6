"""The command behind "tuning by pictures" runs on the embedded data and on a file of one's own."""

import runpy
import sys
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sslgex.datasets import make_expression

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
TRIED = {  # with the default of --quick or of the package
    "alpha": (["VIME"], ["0.1", "2", "10"]),
    "max_epochs": (["SCARF", "VIME", "BYOL"], ["2", "4", "8"]),
    "width": (["SCARF", "VIME", "BYOL"], ["32", "256", "512"]),
}
pytestmark = [
    pytest.mark.skipif(not FOLDER.exists(), reason="benchmarks are not in the sdist"),
    # Few labels of few samples: what is expected here, and warned of.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def command(monkeypatch):
    """Return a function that runs the command as from the shell."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for module in ("study", "of_source", "tuning_grid", "tuning_report"):
        monkeypatch.delitem(sys.modules, module, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tuning", *map(str, arguments)])
        return runpy.run_path(str(FOLDER / "tuning.py"), run_name="__main__")

    yield run
    plt.close("all")


@pytest.fixture
def target(tmp_path):
    """Return options that name a file with patients of two samples each."""
    X, y = make_expression(n_samples=170, n_genes=90, return_X_y=True, random_state=0)
    patients = [f"patient-{i // 2}" for i in range(len(X))]
    obs = {"subtype": [f"class {c}" for c in y], "patient": patients}
    names = [f"sample-{i}" for i in range(len(X))]
    genes = pd.DataFrame(index=[f"GENE{j}" for j in range(X.shape[1])])
    adata = anndata.AnnData(X.astype(np.float32), pd.DataFrame(obs, index=names), genes)
    adata.write_h5ad(tmp_path / "mine.h5ad")
    return ["--target", tmp_path / "mine.h5ad", "--label", "subtype", "--groups", "patient"]


def check(folder: Path, name: str, parameter: str, n_splits: int) -> None:
    methods, values = TRIED[parameter]
    text = (folder / "tables" / f"{name}_{parameter}.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    expected = [f"| {m} {v}" for m in methods for v in values]
    assert [row[0].replace("**", "") for row in rows[:-1]] == expected
    for row in rows[:-1]:
        # An interval of the difference to the default, and none of the default's to itself.
        assert (" to " in row[2]) == ("**" not in row[0])
    assert f"{n_splits} splits" in text
    assert (folder / "figures" / f"{name}_{parameter}.png").stat().st_size > 10_000


@pytest.mark.slow
def test_embedded_data(command, tmp_path):
    options = ["--quick", "--n-jobs", 1, "--cache", tmp_path / "cache", "--out", tmp_path]
    command(*options, "--parameters", "alpha", "max_epochs")
    text = (tmp_path / "tables" / "tuning_quick_tcga_brca.md").read_text(encoding="utf-8")
    for parameter in ("alpha", "max_epochs"):
        check(tmp_path, "tuning_quick_tcga_brca", parameter, 2)
        for method in TRIED[parameter][0]:
            assert f"| {method} {parameter}, " in text
    assert "torch" in text


@pytest.mark.slow
def test_a_file_of_ones_own(command, target, tmp_path):
    options = ["--quick", "--n-jobs", 1, "--cache", tmp_path / "cache", "--out", tmp_path]
    command(*options, *target, "--parameters", "width")
    check(tmp_path, "tuning_quick_mine", "width", 2)


def test_the_page_has_what_the_command_writes_for_every_parameter(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "tuning_grid", raising=False)
    knobs = runpy.run_path(str(FOLDER / "tuning_grid.py"))["KNOBS"]
    page = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    for parameter in knobs:
        assert f"figures/tuning_tcga_brca_{parameter}.png" in page
        assert f"tables/tuning_tcga_brca_{parameter}.md" in page
