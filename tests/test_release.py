"""What a release and the workflows are made of: notes, lowest versions, workflow files."""

import configparser
import importlib.util
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

import sslgex

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = """# Changelog

## 0.2.0 (unreleased)

- Two.

## 0.1.0 (2026-01-31)

### Added

- One.

## 0.0.1 (2025-12-24)
"""

pytestmark = pytest.mark.skipif(
    not (ROOT / ".ci").exists(), reason="these files are in a clone or an unpacked sdist"
)


def script(name):
    """Import a script of the folder .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def jobs(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def commands(path):
    """Return the words of every line that a workflow runs."""
    steps = [step for job in jobs(path).values() for step in job["steps"]]
    return [shlex.split(line) for step in steps for line in step.get("run", "").splitlines()]


def test_release_notes_are_the_section_of_the_version():
    notes = script("release_notes").release_notes("v0.1.0", "0.1.0", CHANGELOG)
    assert notes == "### Added\n\n- One."


@pytest.mark.parametrize(
    ("tag", "version", "says"),
    [
        ("v0.2.0", "0.1.0", "it must be v0.1.0"),
        ("v0.2.0", "0.2.0", "needs a date"),
        ("v0.3.0", "0.3.0", "no heading '## 0.3.0"),
    ],
)
def test_a_tag_that_is_not_ready_is_refused(tag, version, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        script("release_notes").release_notes(tag, version, CHANGELOG)


def test_the_version_is_read_from_the_package_without_importing_it():
    text = (ROOT / "sslgex" / "__init__.py").read_text(encoding="utf-8")
    assert script("release_notes").version_of(text) == sslgex.__version__


def test_the_changelog_has_a_heading_for_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(sslgex.__version__)} \(.+\)$", text, re.M)


def test_lowest_versions_are_those_of_setup_cfg(config):
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    lowest = script("min_constraints").min_constraints(text)
    assert len(lowest) == len(set(lowest))
    for line in config["options"]["install_requires"].split():
        name, version = line.split(">=")
        assert lowest[name] == version
    assert {"anndata", "pytest"} < set(lowest)
    assert "sphinx" not in lowest


@pytest.mark.parametrize("line", ["torch", "torch>2", "torch==2.4"])
def test_a_requirement_without_a_lowest_version_is_refused(line):
    text = f"[options]\ninstall_requires =\n    {line}\n[options.extras_require]\n"
    with pytest.raises(ValueError, match="no lowest version"):
        script("min_constraints").min_constraints(text)


def test_there_are_the_workflows_that_the_next_tests_are_for():
    assert {path.stem for path in WORKFLOWS} == {"docs", "gpu", "lint", "release", "tests"}


def test_the_suite_runs_on_every_system_and_version_that_the_metadata_name(config):
    matrix = jobs(ROOT / ".github" / "workflows" / "tests.yml")["test"]["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    named = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.M)
    assert matrix["python"] == named
    assert {"tested", "lowest"} < {one["dependencies"] for one in matrix["include"]} | {"latest"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_names_is_there(path, config):
    markers = {"gpu", "slow", "not slow"}
    for words in commands(path):
        for option, value in pairwise(words):
            if option == "-c" and value.endswith("constraints.txt"):
                assert (ROOT / value).is_file()
            if words[0] == "pytest" and option == "-m":
                assert value in markers
        for word in words:
            if word.startswith((".ci/", "docs/")) and "_build" not in word:
                assert (ROOT / word).exists(), word
            for extra in re.findall(r"\.\[([a-z,]+)\]", word):
                assert set(extra.split(",")) <= set(config["options.extras_require"]), word
