"""The tests import the package that pip installed, not the source tree that they lie beside."""

import json
from importlib.metadata import distributions
from pathlib import Path

import pytest

import sslgex


def is_editable(installed):
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    return origin.get("dir_info", {}).get("editable", False)


def test_what_is_imported_is_what_pip_installed():
    # Beside it there may be the metadata that a build has left in the source tree.
    found = list(distributions(name="sslgex"))
    if any(map(is_editable, found)):
        pytest.skip("an editable install is the source tree")
    imported = Path(sslgex.__file__).resolve()
    assert imported in {Path(one.locate_file("sslgex/__init__.py")).resolve() for one in found}
    assert imported != Path(__file__).resolve().parents[1] / "sslgex" / "__init__.py"
