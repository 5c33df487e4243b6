"""How much memory there is on the host."""

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Of both versions: the limit, what is used, and what of it the system would give back.
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_on_host() -> int:
    """Return the bytes that this process can still take.

    They are no more than the limits of the container or the batch job leave, which the system's own
    figures do not know.
    """
    return min([psutil.virtual_memory().available, *free_in_groups()])


def free_in_groups(root: Path = CGROUPS, own: Path = OWN) -> list[int]:
    """Return what the limits of this process's control groups leave, for each that has one.

    Parameters
    ----------
    root : Path
        Where the groups are.
    own : Path
        The file that says which are this process's.
    """
    found = []
    for folder, names in _groups(root, own):
        limit, used, files = names
        try:
            most, now = ((folder / name).read_text().strip() for name in (limit, used))
            if most == "max":
                continue
            lines = (folder / "memory.stat").read_text().splitlines()
            spare = next((int(line.split()[1]) for line in lines if line.startswith(files)), 0)
            found.append(max(0, int(most) - int(now) + spare))
        except (OSError, ValueError, IndexError):
            continue  # no such group here, or none with a limit
    return found


def _groups(root: Path, own: Path) -> list[tuple[Path, tuple[str, str, str]]]:
    """Return the folders of the groups and of those around them, and the names of their files."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no Linux
        return []
    found = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top, names = (root / "memory", V1) if kinds else (root, V2)
        # A container may see its own group as the root, whatever its path is outside.
        here = top / path.strip("/")
        around = [folder for folder in (here, *here.parents) if folder.is_relative_to(top)]
        found += [(folder, names) for folder in around]
    return found
