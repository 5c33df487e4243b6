"""Print what CHANGELOG.md says of a version; refuse a tag that is not ready to be released.

Usage: `python release_notes.py v1.2.3`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version_of(text):
    """Return the version that the text of `sslgex/__init__.py` states."""
    return re.search(r'^__version__ = "(.+)"$', text, re.M)[1]


def release_notes(tag, version, changelog):
    """Return the section of a changelog for a version, without its heading."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, the version {version}: it must be v{version}")
    headings = list(re.finditer(r"^## (?P<version>\S+)(?: \((?P<date>.+)\))?$", changelog, re.M))
    for i, heading in enumerate(headings):
        if heading["version"] == version:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", heading["date"] or ""):
                raise ValueError(f"{heading[0]!r} needs a date: '## {version} (2026-01-31)'")
            end = headings[i + 1].start() if i + 1 < len(headings) else len(changelog)
            return changelog[heading.end() : end].strip()
    raise ValueError(f"CHANGELOG.md has no heading '## {version} (date)'")


def main(tag):
    version = version_of((ROOT / "sslgex" / "__init__.py").read_text(encoding="utf-8"))
    try:
        print(release_notes(tag, version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    except ValueError as error:
        sys.exit(f"Not ready to be released: {error}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
