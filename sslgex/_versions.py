"""What a report of a problem should say about the machine."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from ._nn.product import onednn
from ._training.threads import share

PACKAGES = ("scikit-learn", "torch", "skorch", "numpy", "scipy", "joblib", "pandas", "anndata")


def show_versions() -> None:
    """Print versions and what of this machine sslgex uses, for reports of problems.

    "oneDNN products" tells whether the widest matrix products on the CPU go through an operator of
    torch's that is private; the environment variable ``SSLGEX_ONEDNN=0`` switches it off. "threads"
    are those that a fit would take here; in a worker process no more than its share of the
    processors, unless ``SSLGEX_SHARE_PROCESSORS=0`` says otherwise.

    Examples
    --------
    >>> import sslgex
    >>> sslgex.show_versions()
              sslgex: ...
              python: 3...
    ...
    """
    for name, value in versions().items():
        print(f"{name:>16}: {value}")


def versions() -> dict[str, str]:
    """Return what `show_versions` prints."""
    from . import __version__

    said = {"sslgex": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            said[package] = version(package)
        except PackageNotFoundError:
            said[package] = "not installed"
    said["system"] = platform.platform()
    said["processor"] = torch.backends.cpu.get_cpu_capability()
    said["threads"] = str(min(torch.get_num_threads(), share()))
    cuda = torch.cuda.is_available()
    said["GPU"] = torch.cuda.get_device_name() if cuda else "none that torch can use"
    said["oneDNN products"] = onednn()
    return said
