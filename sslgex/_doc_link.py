"""Where an estimator is documented: scikit-learn's HTML repr links to it."""

import importlib

# The one place that names the site, beside the project's metadata (a test holds them together).
SITE = "https://sslgex.readthedocs.io/en"


class DocumentationLinkMixin:
    """Give the HTML repr of a public estimator a link to its page of the API documentation.

    A class of the package that is not public names the page that explains it in `_doc_page`.
    Classes of other packages get no link.
    """

    _doc_link_module = "sslgex"
    _doc_link_template = f"{SITE}/{{version}}/generated/{{page}}.html"
    _doc_page: str | None = None

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"version": site_version(), "page": self._doc_page or public_name(type(self))}


def site_version() -> str:
    """Return the site's name of this version: the tag of a release, "latest" between releases."""
    from . import __version__

    return "latest" if "dev" in __version__ else f"v{__version__}"


def public_name(cls: type) -> str:
    """Return the name under which a class is imported and documented."""
    package = ""
    for part in cls.__module__.split("."):
        package = f"{package}.{part}".lstrip(".")
        if cls.__name__ in getattr(importlib.import_module(package), "__all__", ()):
            return f"{package}.{cls.__name__}"
    raise LookupError(f"{cls.__module__}.{cls.__name__} is not public and names no page.")
