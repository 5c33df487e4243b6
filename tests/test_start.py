"""The guide's pages run: their Python blocks, in order, in a fresh process and an empty folder.

"Start here" runs in an environment that its own command has made where ``SSLGEX_FRESH_START=1``
asks for that, as CI does: it takes a package registry, a minute, and a gigabyte of disk.
"""

import os
import re
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GUIDE = ("index.rst", "labels.md", "methods.md", "pipelines.md", "running.md")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DOCS.exists(), reason="the pages are in a clone or an unpacked sdist"),
]


def blocks(page, language):
    """Return the code blocks of a page in one language, dedented, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if page.endswith(".md"):
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    directive = rf"^\.\. code-block:: {language}\n(?:   :.*\n)*\n((?:(?:   .*)?\n)+)"
    return [textwrap.dedent(found) for found in re.findall(directive, text, re.MULTILINE)]


def here():
    """Return this interpreter, and an environment in which it imports what this process does."""
    # The package is imported from where this process has it, also from an uninstalled clone.
    return sys.executable, os.environ | {
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))
    }


def fresh(folder):
    """Return the interpreter of a new environment, made by the page's own command, and its own."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env |= {"PATH": os.pathsep.join([str(programs), env["PATH"]]), "VIRTUAL_ENV": str(folder)}
    # The versions that the tests use; pip's newest torch brings gigabytes for GPUs.
    env["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    (command,) = blocks("start.rst", "shell")
    finished(command, shell=True, cwd=ROOT, env=env)
    return programs / "python", env


def finished(command, **how):
    """Return what a command prints, once it has ended well."""
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, **how
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(page, folder, python, env):
    """Run the page's blocks as one script in ``folder`` and return what they print."""
    script = folder / "page.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    env = env | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    return finished([python, "-W", "error::UserWarning", script], cwd=folder, env=env)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    asked = os.environ.get("SSLGEX_FRESH_START") == "1"
    where = fresh(tmp_path_factory.mktemp("environment")) if asked else here()
    return run("start.rst", folder, *where), folder


def test_start_here_runs_as_it_stands_and_leaves_a_prediction_per_new_sample(start):
    printed, folder = start
    predictions = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(predictions) == 1 + 193
    assert printed.rstrip().endswith("True")  # what was loaded predicts as what was saved


def scores(text):
    return [float(number) for number in re.findall(r"accuracy (\d\.\d+)", text)]


def test_start_here_prints_what_the_page_says(start):
    printed, _ = start
    said = blocks("start.rst", "text")
    assert len(said) == 3
    for block in said[:2]:
        for line in block.strip().splitlines():
            assert line in printed, line
    # Five points: another processor trains another network.
    assert len(scores(said[2])) == 4
    assert scores(printed) == pytest.approx(scores(said[2]), abs=0.05)


@pytest.mark.parametrize("page", GUIDE)
def test_the_blocks_of_a_page_run(page, tmp_path):
    assert blocks(page, "python")
    run(page, tmp_path, *here())
