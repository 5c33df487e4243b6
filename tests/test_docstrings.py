"""Docstrings: every example runs, every parameter is documented with the default the code has."""

import doctest
import inspect
import re

import pytest

import sslgex
from sslgex import testing
from sslgex.datasets import load_tcga_brca, make_expression

PUBLIC = [obj for name in sslgex.__all__ if callable(obj := getattr(sslgex, name))]
PUBLIC += [load_tcga_brca, make_expression, testing.check_pretrainer]
CLASSES = [obj for obj in PUBLIC if isinstance(obj, type)]


@pytest.mark.parametrize("obj", PUBLIC, ids=lambda o: o.__name__)
def test_examples_run(obj):
    tests = doctest.DocTestFinder(recurse=False).find(obj, obj.__name__, globs={})
    assert any(test.examples for test in tests), "there is no example"
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST
    )
    for test in tests:
        runner.run(test)
    assert runner.failures == 0


def documented(obj):
    """Return {parameter: its type line} from the numpydoc section."""
    doc = inspect.getdoc(obj)
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w+[ \w]*\n-+\n|\Z)", doc, re.S).group(1)
    lines = re.findall(r"^(\*{0,2}\w+(?:, \w+)*) : (.*)$", section, re.M)
    return {name: kind for names, kind in lines for name in names.split(", ")}


@pytest.mark.parametrize("obj", PUBLIC, ids=lambda o: o.__name__)
def test_parameters_are_documented_in_order_with_their_defaults(obj):
    parameters = inspect.signature(obj).parameters
    found = documented(obj)
    if isinstance(obj, type):
        assert list(found) == list(parameters)
    assert set(found) == set(parameters)
    for name, parameter in parameters.items():
        stated = re.search(r"default=(.*)$", found[name])
        if parameter.default is inspect.Parameter.empty:
            assert stated is None, name
        else:
            assert stated, f"{name} has a default that is not documented"
            assert eval(stated.group(1)) == parameter.default, name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_fitted_attributes_are_documented(cls):
    X, y = make_expression(n_samples=30, n_genes=20, n_informative=4, return_X_y=True)
    fitted = cls(hidden_layer_sizes=(4,), max_epochs=1).fit(X, y)
    section = inspect.getdoc(cls).split("Attributes\n")[1].split("See Also")[0]
    names = re.findall(r"^(\w+_(?:, \w+_)*) : ", section, re.M)
    known = {name for line in names for name in line.split(", ")}
    have = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    assert have <= known
    assert known - have <= {"feature_names_in_"}
