"""Print the commands that README.md shows, so that they are run as a reader would run them.

A command is one line in a fenced block right below a marker: `<!-- command: NAME -->`.
Usage: `python readme_commands.py` lists the names, `python readme_commands.py NAME` prints one.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
MARKER = re.compile(r"^<!-- command: (?P<name>.+?) -->$", re.MULTILINE)
BLOCK = re.compile(r"\n+```[a-z]*\n(?P<line>[^\n]+)\n```(?:\n|\Z)")


def readme_commands(text):
    """Map the name of each marked command to its line, in the order of the text."""
    commands = {}
    for marker in MARKER.finditer(text):
        name = marker["name"]
        block = BLOCK.match(text, marker.end())
        if block is None:
            raise ValueError(f"the marker {name!r} is not followed by a fenced block of one line")
        if name in commands:
            raise ValueError(f"the marker {name!r} occurs twice")
        commands[name] = block["line"].strip()
    return commands


def main(args):
    commands = readme_commands(README.read_text(encoding="utf-8"))
    if not args:
        print("\n".join(commands))
    elif len(args) == 1 and args[0] in commands:
        print(commands[args[0]])
    else:
        sys.exit(f"no command {' '.join(args)!r} in {README.name}; it has: {', '.join(commands)}")


if __name__ == "__main__":
    main(sys.argv[1:])
