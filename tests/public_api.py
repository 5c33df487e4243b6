"""What users can reach, and its numpydoc docstrings in parts: for the tests of documentation."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import sslgex

API_PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.rst"


class Entry(NamedTuple):
    """One entry of a numpydoc section."""

    name: str
    kind: str
    text: str


def public_modules():
    """Return the modules whose names users import: those without an underscore, with `__all__`."""
    names = [m.name for m in pkgutil.walk_packages(sslgex.__path__, "sslgex.")]
    public = [name for name in names if not re.search(r"\._", name)]
    modules = [sslgex, *map(importlib.import_module, public)]
    return [module for module in modules if hasattr(module, "__all__")]


def public_objects():
    """Map the full name of every public class and function to it."""
    return {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in public_modules()
        for name in module.__all__
        if not inspect.ismodule(getattr(module, name))
    }


def public_methods():
    """Map the full name of every public method and property that the package defines to it.

    One that several classes inherit is there once.
    """
    found = {}
    for full_name, cls in public_objects().items():
        if not isinstance(cls, type):
            continue
        for name, attribute in inspect.getmembers(cls):
            function = attribute.fget if isinstance(attribute, property) else attribute
            ours = getattr(function, "__module__", None) or ""
            if not name.startswith("_") and callable(function) and ours.startswith("sslgex"):
                function = inspect.unwrap(function)
                if function.__qualname__ not in {f.__qualname__ for f in found.values()}:
                    found[f"{full_name}.{name}"] = function
    return found


def sections(obj):
    """Return {title: text} of an object's numpydoc docstring, the text before all under ""."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", inspect.getdoc(obj) or "", flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(obj, title):
    """Return the entries of a section in their order; several names on a line are several."""
    text = sections(obj).get(title, "")
    found = []
    for part in re.split(r"^(?=\S)", text, flags=re.M):
        head, _, body = part.partition("\n")
        names, _, kind = head.partition(" : ")
        found += [
            Entry(name.lstrip("*"), kind.strip(), textwrap.dedent(body).strip())
            for name in re.split(r", ", names)
            if name
        ]
    return found


def returns_something(function):
    """Tell whether a function has a `return` with a value, or a `yield`, of its own."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    todo, found = list(tree.body), False
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        found |= isinstance(node, ast.Return) and node.value is not None
        found |= isinstance(node, ast.Yield | ast.YieldFrom)
        todo += ast.iter_child_nodes(node)
    return found


def listed_in_the_api_page():
    """Return the full names that docs/api.rst lists; each of them gets a page of its own."""
    listed, module, inside = [], "", False
    for line in API_PAGE.read_text(encoding="utf-8").splitlines():
        if directive := re.match(r"\.\. (\w+):: ?(.*)", line):
            inside = directive[1] == "autosummary"
            module = directive[2] if directive[1] == "currentmodule" else module
        elif inside and (name := re.fullmatch(r"   (\w[\w.]*)", line)):
            listed.append(f"{module}.{name[1]}")
    return listed
