"""The commands of the study's figures run on any files and write a table and a picture."""

import runpy
import sys
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sslgex.datasets import make_expression

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "paper"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="benchmarks are not in the sdist"),
    # Twenty labels of few samples, once per split: what is expected here, and warned of.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

COMMANDS = {
    "figure3": (["--label-sizes", "16", "24"], "figure3_{}_resample"),
    "convergence": (["--label-sizes", "16", "--epochs", "2"], "convergence_{}_resample"),
    "figure4": (
        ["--label-sizes", "16", "--depths", "1", "--widths", "8"],
        "figure4_{}_resample",
    ),
    "figure5": (["--label-sizes", "16", "--pretrain-sizes", "0.5", "1.0"], "figure5_{}_resample"),
    "figure_s5": ([], "figure_s5_{}"),
}
PAIRS = {"target": [], "source_target": ["--source", "source.h5ad"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two studies of the same genes as files, and room for what is written."""
    path = tmp_path_factory.mktemp("paper")
    X, y = make_expression(n_samples=110, n_genes=40, return_X_y=True, random_state=0)
    names = [f"sample-{i}" for i in range(len(X))]
    obs = pd.DataFrame(
        {"label": [f"class {c}" for c in y], "patient": [f"patient-{i // 2}" for i in range(110)]},
        index=names,
    )
    genes = pd.DataFrame(index=[f"GENE{j}" for j in range(X.shape[1])])
    adata = anndata.AnnData(X.astype("float32"), obs=obs, var=genes)
    adata[:70].write_h5ad(path / "target.h5ad")
    adata[70:].write_h5ad(path / "source.h5ad")
    for part in ("tables", "figures"):
        (path / part).mkdir()
    return path


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("command", COMMANDS)
def test_table_and_picture(command, pair, folder, monkeypatch):
    options, name = COMMANDS[command]
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(FOLDER))
    shared = "--target target.h5ad --groups patient --cv 2 --n-draws 2 --n-jobs 1 --out ."
    shared += " --cache cache --pretraining 0.001 0.001 0.005 --fine-tuning 0.02"
    monkeypatch.setattr(sys, "argv", [command, *shared.split(), *PAIRS[pair], *options])
    for module in ("study", "of_source"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    runpy.run_path(str(FOLDER / f"{command}.py"), run_name="__main__")
    name = name.format(pair)
    table = (folder / "tables" / f"{name}.md").read_text(encoding="utf-8")
    assert "70 of the target" in table
    assert ("40 profiles to pretrain on" in table) == (pair == "source_target")
    for method in ("SCARF", "VIME", "BYOL"):
        assert f"| {method}" in table
    assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
