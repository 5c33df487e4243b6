"""The check of links in the built documentation finds the broken ones."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "check_links.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the script is in a clone or an sdist")


def check(folder, link):
    (folder / "sub").mkdir()
    (folder / "sub" / "other.html").write_text('<p id="part">x</p>', encoding="utf-8")
    (folder / "page.html").write_text(f'<h1 id="top"><a href="{link}">x</a></h1>', encoding="utf-8")
    command = [sys.executable, str(SCRIPT), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "link", ["#top", "sub/other.html", "sub/other.html#part", "https://example.org/nothing"]
)
def test_a_good_link_passes(tmp_path, link):
    assert check(tmp_path, link).returncode == 0


@pytest.mark.parametrize(
    "link", ["#nowhere", "missing.html", "sub/other.html#nowhere", "other.html"]
)
def test_a_broken_link_is_named(tmp_path, link):
    done = check(tmp_path, link)
    assert done.returncode == 1
    assert f"page.html: {link}" in done.stderr
