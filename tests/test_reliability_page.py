"""The page on reliability names a test for every fault, and the tests are there."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")][2:]


def named_in(row):
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.split(" | ")[-1])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split(" | ")[0][2:])
def test_every_fault_has_its_tests(row):
    assert named_in(row)
    for file, name in named_in(row):
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_faults_are_all_there():
    assert len(ROWS) == 13
