"""Configuration of the documentation, for Sphinx."""

import importlib.metadata
import inspect
import os

project = "sslgex"
author = "The sslgex developers"
copyright = "2026, The sslgex developers"
release = importlib.metadata.version("sslgex")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "auto_examples/**/*.ipynb",
    "auto_examples/**/*.py.md5",
]
templates_path = ["_templates"]
default_role = "literal"

html_theme = "pydata_sphinx_theme"
html_title = "sslgex"
html_show_sourcelink = False
html_sidebars = {"**": ["sidebar-toc.html"]}
html_theme_options = {
    "show_prev_next": False,
    "navbar_center": [],  # the sidebar has all pages
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

# A reference that leads nowhere is a warning, and so an error in CI.
nitpicky = True

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

autodoc_typehints = "none"  # numpydoc's Parameters sections say it
numpydoc_show_class_members = False  # the class template lists them
myst_heading_anchors = 3  # so that page.md#heading is a link

# The examples take minutes, so they are shown as code unless they are asked to run.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "plot_gallery": os.environ.get("SSLGEX_DOCS_RUN_EXAMPLES") == "1",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "notebook_images": True,  # within the notebook
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}

# Links into other projects' documentation need their inventories from the network. A build without
# one must pass with warnings as errors, so they are fetched only where this is asked for.
if os.environ.get("SSLGEX_DOCS_ONLINE") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }
else:
    nitpick_ignore_regex = [(r"py:.*", r"(python|numpy|scipy|sklearn|torch|joblib)\..*")]


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and torch define.

    Their docstrings refer to labels of their own documentation, which are unknown here.
    """
    function = obj.fget if isinstance(obj, property) else inspect.unwrap(obj)
    module = getattr(function, "__module__", None)
    if what == "class" and isinstance(module, str) and module.split(".")[0] != "sslgex":
        return True
    return None


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign_members)
