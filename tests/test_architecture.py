"""The layers import downwards only."""

import ast
from pathlib import Path

import pytest

import sslgex

PACKAGE = Path(sslgex.__file__).parent
# Lower layers first; a module may import from its own layer and those before it.
LAYERS = [
    ["_writing", "exceptions"],
    ["_genes", "_npy", "_sources", "_parquet", "_tensor_file"],
    ["_nn"],
    ["_training"],
    [
        "_anndata",
        "_callbacks",
        "_checkpointing",
        "_diverged",
        "_doc_link",
        "_docs",
        "_fitting",
        "_inputs",
        "_labels",
        "_memory",
        "_on_disk",
        "_parameters",
        "_streaming",
        "_versions",
        "_warm_start",
        "datasets",
    ],
    ["preprocessing"],
    ["_embedding", "_partial_fit"],
    ["base"],
    ["_rehearsal"],
    ["_head", "_linear_path", "_propagation", "_unfrozen", "_pooled"],
    ["_untrained", "_encoders", "_finish", "scarf", "vime", "byol"],
    ["classifier"],
    ["_resources", "evaluation", "persistence", "testing"],
    ["plotting"],
    ["__init__"],
]
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Yield (is_ours, name of the layer or of the foreign package) for each import of a file."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield False, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield False, node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level], *(node.module or "").split(".")]
            names = [n for n in base if n] or [alias.name for alias in node.names]
            yield True, names[0]


def layer_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    mine = layer_of(path)
    assert mine in RANK, f"{mine} is in no layer"
    for ours, name in imports(path):
        if ours and name != "__version__":
            assert RANK[name] <= RANK[mine], f"{path.name} imports {name}"


def foreign(folder):
    return {name for p in (PACKAGE / folder).glob("*.py") for ours, name in imports(p) if not ours}


def test_networks_know_neither_scikit_learn_nor_skorch():
    assert not foreign("_nn") & {"sklearn", "skorch", "numpy"}


def test_skorch_is_imported_in_training_only():
    for path in FILES:
        if layer_of(path) != "_training":
            assert "skorch" not in {name for ours, name in imports(path) if not ours}, path


def test_data_sets_know_no_torch():
    assert "torch" not in foreign("datasets")
