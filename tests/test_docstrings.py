"""Docstrings: what is public is documented with type, shape and the default that the code has."""

import dataclasses
import inspect
import re

import pytest
from public_api import (
    entries,
    listed_in_the_api_page,
    public_methods,
    public_objects,
    returns_something,
    sections,
)
from sklearn.base import BaseEstimator

OBJECTS = public_objects()
METHODS = public_methods()
# Made by functions, not by users: their fields are documented, not their parameters.
RESULTS = {name: obj for name, obj in OBJECTS.items() if dataclasses.is_dataclass(obj)}
ERRORS = {n for n, o in OBJECTS.items() if inspect.isclass(o) and issubclass(o, Exception)}
CALLED = {n: obj for n, obj in {**OBJECTS, **METHODS}.items() if n not in {*RESULTS, *ERRORS}}
ESTIMATORS = [n for n, o in OBJECTS.items() if inspect.isclass(o) and issubclass(o, BaseEstimator)]
FUNCTIONS = {name: obj for name, obj in CALLED.items() if not isinstance(obj, type)}
EVERYTHING = {**OBJECTS, **METHODS}
# Properties are documented like attributes, by "type : what it is" in one line.
PROPERTIES = {
    name: function
    for name, function in METHODS.items()
    if isinstance(getattr(OBJECTS[name.rpartition(".")[0]], name.rpartition(".")[2]), property)
}
# Of these one asks how large they are, along which axes.
SIZED = re.compile(r"\b(ndarray|array-like|memmap|sparse matrix|matrix|matrices)\b")


def parameters_of(obj):
    found = inspect.signature(obj).parameters
    return {name: p for name, p in found.items() if name not in ("self", "cls")}


def test_the_lists_are_not_empty():
    assert {"sslgex.SSLClassifier", "sslgex.testing.check_pretrainer"} < set(OBJECTS)
    assert {"sslgex.SSLClassifier.fit", "sslgex.preprocessing.GeneAligner.transform"} < set(CALLED)
    assert "sslgex.evaluation.LeakageReport.clean" in PROPERTIES
    assert "sslgex.evaluation.Comparison" in RESULTS


def test_the_api_page_lists_what_is_public_once_and_nothing_else():
    listed = listed_in_the_api_page()
    assert len(listed) == len(set(listed))
    assert set(listed) == set(OBJECTS)


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_first_paragraph_is_one_sentence(name):
    first = sections(EVERYTHING[name])[""].partition("\n\n")[0].strip()
    assert first, "there is no docstring"
    assert first.endswith("."), first


@pytest.mark.parametrize("name", CALLED)
def test_parameters_are_documented_in_order_with_their_defaults(name):
    obj = CALLED[name]
    parameters = parameters_of(obj)
    found = {entry.name: entry.kind for entry in entries(obj, "Parameters")}
    if isinstance(obj, type):
        assert list(found) == list(parameters)
    assert set(found) == set(parameters)
    for parameter in parameters.values():
        stated = re.search(r"default=(.*)$", found[parameter.name])
        if parameter.default is inspect.Parameter.empty:
            assert stated is None, parameter.name
        elif not (parameter.default is None and found[parameter.name] == "None"):
            assert stated, f"{parameter.name} has a default that is not documented"
            value = eval(stated.group(1), {"nan": float("nan")})
            same = value == parameter.default or repr(value) == repr(parameter.default)
            assert same, parameter.name


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_entry_has_a_type_a_text_and_where_it_has_one_a_shape(name):
    obj = EVERYTHING[name]
    variable = {
        p.name
        for p in (parameters_of(obj).values() if name in CALLED else ())
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    for title in ("Parameters", "Attributes", "Returns", "Yields"):
        for entry in entries(obj, title):
            assert entry.text, f"{entry.name} has no description"
            # A result may be a type alone, an argument of **options of any.
            assert entry.kind or title == "Returns" or entry.name in variable, entry.name
            kind = entry.kind or entry.name
            if SIZED.search(kind):
                assert re.search(r"of shape \(|with \w+ columns", kind), f"{entry.name} : {kind}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_returned_is_documented(name):
    if name in PROPERTIES:
        first = sections(FUNCTIONS[name])[""]
        kind = re.match(r"([a-z].*?) : \S", first)
        assert kind, f"{first!r} does not start with a type"
        assert not SIZED.search(kind[1]) or "of shape (" in kind[1], kind[1]
    else:
        assert bool(entries(FUNCTIONS[name], "Returns")) == returns_something(FUNCTIONS[name])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_entry_of_an_estimator_names_one_thing(name):
    """scikit-learn's HTML repr explains a parameter by the entry that has just its name."""
    for title in ("Parameters", "Attributes"):
        text = sections(OBJECTS[name]).get(title, "")
        joint = re.findall(r"^(\w+, \w.*?) : ", text, re.M)
        assert not joint


@pytest.mark.parametrize("name", RESULTS)
def test_fields_of_results_are_documented_in_their_order(name):
    known = [entry.name for entry in entries(RESULTS[name], "Attributes")]
    assert known == [f.name for f in dataclasses.fields(RESULTS[name]) if f.name[0] != "_"]
