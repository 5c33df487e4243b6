"""Print constraints that pin every requirement to the lowest version that setup.cfg allows.

Usage: `python min_constraints.py > FILE`, then `pip install -c FILE ".[test]"`.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.cfg"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)>=(?P<version>[0-9.]+)")
# What runs, makes pictures or reads data; tools of development and docs may be new.
NOT_HERE = ("dev", "docs")


def min_constraints(text):
    """Map every package that setup.cfg requires to its lowest version."""
    config = configparser.ConfigParser()
    config.read_string(text)
    extras = {k: v for k, v in config["options.extras_require"].items() if k not in NOT_HERE}
    lowest = {}
    for line in "\n".join([config["options"]["install_requires"], *extras.values()]).split():
        if line.startswith("sslgex["):
            continue
        match = REQUIREMENT.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} has no lowest version: write it as name>=version")
        if lowest.setdefault(match["name"], match["version"]) != match["version"]:
            raise ValueError(f"{match['name']} has two lowest versions")
    return lowest


if __name__ == "__main__":
    for name, version in min_constraints(SETUP.read_text(encoding="utf-8")).items():
        print(f"{name}=={version}")
