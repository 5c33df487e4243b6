"""Does a value have the type and the shape that a docstring states? For the tests of documentation.

The language is that of the docstrings: "ndarray of shape (n_samples, 3), int", "list of float or
None", "dict of str to Line2D", "{"mean", "integral"}", "(int, int)", or the name of a class.
"""

import ast
import inspect
import re
from numbers import Integral, Real

import numpy as np
from public_api import entries
from sklearn.base import is_classifier

SCALARS = {"int": Integral, "float": Real, "str": str, "bool": bool | np.bool_, "dict": dict}
ARRAY = re.compile(r"ndarray of shape \((?P<shape>[^)]*)\)(?:, (?P<dtype>\w+))?")


def assert_as_documented(instance):
    """Compare the public attributes of a fitted estimator, a display or a result with the docs."""
    cls, attributes = type(instance), vars(instance)
    documented = {entry.name: entry for entry in entries(cls, "Attributes")}
    public = {name for name in attributes if not name.startswith("_")}
    unknown = public - {*documented, *inspect.signature(cls).parameters}
    assert not unknown, f"not documented: {sorted(unknown)}"
    missing = {name for name in documented if not hasattr(instance, name)}
    lacking = {name for name in missing if "only if" not in documented[name].text}
    assert not lacking, f"documented, but not there: {sorted(lacking)}"
    sizes = {name: value for name, value in attributes.items() if isinstance(value, int)}
    for name in documented.keys() - missing:
        kind, value = documented[name].kind, getattr(instance, name)
        assert conforms(value, kind, sizes), f"{name} : {kind}, but it is {value!r:.500}"


def conforms(value, kind, sizes):
    """Tell whether ``value`` is of the documented ``kind``.

    ``sizes`` maps names of dimensions to their lengths; those met for the first time are added.
    """
    kind = kind.replace("`", "")
    return _is_whole(value, kind, sizes) or _is_one_of(value, kind, sizes)


def _is_one_of(value, kind, sizes):
    # After an array a comma leads to its dtype.
    for separator in (r",? or ",) if kind.startswith("ndarray") else (r",? or ", r", "):
        alternatives = _split(kind, separator)
        if len(alternatives) > 1:
            return any(conforms(value, one, sizes) for one in alternatives)
    return False


def _is_whole(value, kind, sizes):
    if array := ARRAY.fullmatch(kind):
        return isinstance(value, np.ndarray) and _has_shape(value, array, sizes)
    if kind == "None":
        return value is None
    if kind in SCALARS:
        return isinstance(value, SCALARS[kind]) and (kind == "bool" or not isinstance(value, bool))
    if re.fullmatch(r"\{.*\}", kind):
        return value in ast.literal_eval(kind)
    if re.fullmatch(r"\(.*\)", kind):
        parts = _split(kind[1:-1], ", ")
        return isinstance(value, tuple) and len(value) == len(parts)
    if of := re.fullmatch(r"(list|tuple) of (.*)", kind):
        # What a list holds may differ in size from one to the next.
        right = type(value).__name__ == of[1]
        return right and all(conforms(one, of[2], dict(sizes)) for one in value)
    if of := re.fullmatch(r"dict of (\(.*?\)|\w+) to (.*)", kind):
        right = isinstance(value, dict) and all(conforms(key, of[1], sizes) for key in value)
        return right and all(conforms(one, of[2], sizes) for one in value.values())
    if kind == "transformer":
        return hasattr(value, "transform")
    if kind == "classifier":
        return is_classifier(value)
    name = kind.split()[-1].split(".")[-1]  # "matplotlib Axes", "torch.nn.Module"
    return name in {base.__name__ for base in type(value).__mro__}


def _has_shape(value, array, sizes):
    """Compare dimensions with numbers, and with what the same name was before."""
    names = [name for name in re.split(r",\s*", array["shape"]) if name]
    if len(names) != value.ndim:
        return False
    for name, length in zip(names, value.shape, strict=True):
        if length != (int(name) if name.isdigit() else sizes.setdefault(name, length)):
            return False
    dtype = array["dtype"]
    kinds = {"int": "iu", "float": "f", "bool": "b", "str": "UO"}
    return dtype is None or value.dtype == dtype or value.dtype.kind in kinds.get(dtype, "")


def _split(text, separator):
    """Split at a separator that is in no brackets."""
    parts, depth, start = [], 0, 0
    for found in re.finditer(rf"[(\[{{]|[)\]}}]|{separator}", text):
        mark = found[0]
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        elif depth == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]
