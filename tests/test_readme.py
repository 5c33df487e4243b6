"""The README's commands and code are read from it, so they cannot rot unseen."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXTRACTOR = ROOT / ".ci" / "readme_commands.py"

pytestmark = pytest.mark.skipif(
    not EXTRACTOR.exists(), reason="the README is checked in a clone or an unpacked sdist"
)


def extract(*args):
    return subprocess.run(
        [sys.executable, str(EXTRACTOR), *args], capture_output=True, text=True, check=False
    )


def python_blocks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_readme_has_exactly_two_commands():
    assert extract().stdout.splitlines() == ["main job", "tests"]


def test_each_readme_command_installs_the_tested_versions_first():
    for name in ("main job", "tests"):
        (line,) = extract(name).stdout.splitlines()
        assert line.startswith("python -m pip install -c constraints.txt ")


def test_the_tests_are_those_of_the_installed_package():
    line = extract("tests").stdout
    assert " -e " not in line  # an editable install is the source tree
    assert "python -m pytest" not in line  # which would import it from the current folder


def test_files_named_by_the_readme_commands_exist():
    for name in ("main job", "tests"):
        for word in extract(name).stdout.split():
            if word.endswith((".py", ".txt")):
                assert (ROOT / word).is_file(), word


def test_unknown_command_is_an_error_that_lists_the_known_ones():
    result = extract("nonsense")
    assert result.returncode != 0
    assert "main job, tests" in result.stderr


def test_every_name_that_the_readme_code_imports_exists():
    imports = 0
    for block in python_blocks():
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
                    imports += 1
    assert imports > 0
