"""Every example in a docstring runs, and what it makes has the attributes that are documented."""

import dataclasses
import doctest
import importlib
import pkgutil

import pytest
from documented_types import assert_as_documented
from public_api import entries, public_methods, public_objects
from sklearn.base import BaseEstimator

import sslgex

OBJECTS = public_objects()
CLASSES = {
    name: obj
    for name, obj in OBJECTS.items()
    if isinstance(obj, type) and not issubclass(obj, Exception)  # an error is not kept
}
# Every public name has an example, but for the classes of results, which functions return.
NEED_NONE = {name for name, obj in OBJECTS.items() if dataclasses.is_dataclass(obj)}
WITH_EXAMPLES = {
    name: obj
    for name, obj in {**OBJECTS, **public_methods()}.items()
    if name in OBJECTS.keys() - NEED_NONE or ">>>" in (obj.__doc__ or "")
}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST


def makers(cls):
    """Return the names of those whose examples make an instance of a class."""
    found = {name for name, obj in WITH_EXAMPLES.items() if obj is cls}
    for name, obj in OBJECTS.items():
        found |= {name for entry in entries(obj, "Returns") if entry.kind == cls.__name__}
    return found


def is_made(value):
    """Tell whether a value is of a public class, and fitted where that can be."""
    fitted = not isinstance(value, BaseEstimator) or any(name.endswith("_") for name in vars(value))
    return type(value) in CLASSES.values() and fitted


def doctests(obj, name):
    return doctest.DocTestFinder(recurse=False).find(obj, name, globs={})


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run_and_make_what_is_documented(name):
    (test,) = doctests(WITH_EXAMPLES[name], name)
    assert test.examples, "there is no example"
    assert not any(example.options.get(doctest.SKIP) for example in test.examples)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, clear_globs=False)
    assert runner.failures == 0
    made = [value for value in test.globs.values() if is_made(value)]
    for instance in made:
        assert_as_documented(instance)
    for cls in CLASSES.values():
        if name in makers(cls):
            assert cls in map(type, made), f"no variable of the example is a {cls.__name__}"


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_an_example_makes_an_instance_of_every_class(cls):
    assert makers(cls) & WITH_EXAMPLES.keys()


def test_no_example_is_left_out():
    run = {test.docstring for name, obj in WITH_EXAMPLES.items() for test in doctests(obj, name)}
    for module in pkgutil.walk_packages(sslgex.__path__, "sslgex."):
        for test in doctest.DocTestFinder().find(importlib.import_module(module.name)):
            assert not test.examples or test.docstring in run, test.name
