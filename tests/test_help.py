"""`help` of what is public reads well in a terminal of 100 columns."""

import inspect
import pydoc
import re

import pytest
from public_api import public_methods, public_objects

OBJECTS = public_objects()
MARK = re.compile(r"<[a-z]+(?: [a-z]+)+>|\{[a-z]+_[a-z_]+\}")  # "<shared parameters>"


def test_marks_are_found_that_were_not_filled():
    assert MARK.search("Parameters\n<shared parameters>")
    assert MARK.search("early_stopping : bool\n    {early_stopping}")
    assert not MARK.search('architecture : {"residual", "mlp"}, <1 and >0, {ndarray, data frame}')


@pytest.mark.parametrize("name", OBJECTS)
def test_help_has_the_docstring_and_no_mark_of_ours(name):
    shown = pydoc.plain(pydoc.render_doc(OBJECTS[name]))
    assert inspect.getdoc(OBJECTS[name]).splitlines()[0] in shown
    assert not MARK.search(inspect.getdoc(OBJECTS[name]))


@pytest.mark.parametrize("name", {**OBJECTS, **public_methods()})
def test_lines_fit_into_100_columns(name):
    obj = {**OBJECTS, **public_methods()}[name]
    indent = 4 if name in OBJECTS else 8  # " |  " and " |      "
    widest = max(inspect.getdoc(obj).splitlines(), key=len)
    assert indent + len(widest) <= 100, widest
