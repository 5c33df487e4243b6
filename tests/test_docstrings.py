"""Docstrings: every example runs, every parameter is documented with the default the code has."""

import dataclasses
import doctest
import inspect
import re

import pytest

import sslgex
from sslgex import datasets, evaluation, plotting, preprocessing, testing

PUBLIC = [obj for name in sslgex.__all__ if callable(obj := getattr(sslgex, name))]
CLASSES = [obj for obj in PUBLIC if isinstance(obj, type)]
PUBLIC += [testing.check_pretrainer]
PUBLIC += [
    getattr(part, name) for part in (datasets, plotting, preprocessing) for name in part.__all__
]
# What these return has no constructor for users: its attributes are documented, not parameters.
RETURNED = (
    evaluation.LabelEfficiencyResults,
    evaluation.ConvergenceResults,
    evaluation.PretrainingSizeResults,
    evaluation.ArchitectureResults,
    evaluation.EmbeddingSpectrum,
    evaluation.AlignmentUniformity,
    evaluation.LabelPreservation,
    evaluation.Comparison,
    evaluation.LeakageReport,
)
PUBLIC += [obj for name in evaluation.__all__ if (obj := getattr(evaluation, name)) not in RETURNED]


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
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w+[ \w]*\n-+\n|\Z)", doc, re.S)
    section = section.group(1) if section else ""  # there may be no parameters
    lines = re.findall(r"^(\*{0,2}\w+(?:, \w+)*) : (.*)$", section, re.M)
    return {name.lstrip("*"): kind for names, kind in lines for name in names.split(", ")}


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
            value = eval(stated.group(1), {"nan": float("nan")})
            assert value == parameter.default or repr(value) == repr(parameter.default), name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_fitted_attributes_are_documented(cls):
    X, y = datasets.make_expression(n_samples=30, n_genes=20, n_informative=4, return_X_y=True)
    fitted = cls(hidden_layer_sizes=(4,), max_epochs=1).fit(X, y)
    section = inspect.getdoc(cls).split("Attributes\n")[1].split("See Also")[0]
    names = re.findall(r"^(\w+_(?:, \w+_)*) : ", section, re.M)
    known = {name for line in names for name in line.split(", ")}
    have = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    assert have <= known
    assert known - have <= {"feature_names_in_"}


@pytest.mark.parametrize("cls", RETURNED, ids=lambda c: c.__name__)
def test_fields_of_results_are_documented(cls):
    section = inspect.getdoc(cls).split("Attributes\n")[1]
    lines = re.findall(r"^(\w+(?:, \w+)*) : ", section, re.M)
    known = [name for line in lines for name in line.split(", ")]
    assert known == [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
