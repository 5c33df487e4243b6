"""Check that the wheel and the sdist in a folder hold every file that they must.

Usage: `python check_dist.py FOLDER`.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SDIST_FOLDERS = (".ci", ".github", "benchmarks", "docs", "examples", "tests", "tools")
MADE_BY_THE_DOCS = {"_build", "auto_examples", "generated", "gen_modules"}


def files_under(folder):
    """Paths below ROOT, as an archive writes them, without what tools leave behind."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not MADE_BY_THE_DOCS & set(path.parts)
    }


def main(folder):
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    package = files_under("sslgex")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing = {f"{name} (wheel)" for name in package - inside}
    if inside - package:
        sys.exit("the wheel holds what is no part of the package: " + ", ".join(inside - package))
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = package.union(*map(files_under, SDIST_FOLDERS)) - {"docs/sg_execution_times.rst"}
    missing |= {f"{name} (sdist)" for name in wanted - inside}
    if missing:
        sys.exit("missing: " + ", ".join(sorted(missing)))
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, all {len(package)} files")


if __name__ == "__main__":
    main(*sys.argv[1:])
