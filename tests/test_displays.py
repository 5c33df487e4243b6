"""What all displays have in common: axes, legends, settings, the extra, their documentation."""

import doctest
import inspect
import re
import sys

import pytest
from sklearn.decomposition import PCA
from sklearn.naive_bayes import GaussianNB

from sslgex import ScarfTransformer, SSLClassifier, VimeTransformer, evaluation, plotting
from sslgex.datasets import make_expression

matplotlib = pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt  # noqa: E402

DISPLAYS = [getattr(plotting, name) for name in plotting.__all__]
INSIDE = [plotting.LossCurveDisplay]  # their legends stay inside the axes
LABELS = {"n_draws": 2, "cv": 2, "random_state": 0}


@pytest.fixture(scope="module")
def results():
    """Return what every display draws, found by the smallest sweeps."""
    X, y = make_expression(n_samples=90, n_genes=20, return_X_y=True, random_state=0)
    scarf = ScarfTransformer((8,), max_epochs=2, random_state=0)
    vime = VimeTransformer((8,), max_epochs=2, random_state=0)
    frozen = {"mode": "frozen", "head": GaussianNB()}
    entries = {
        "genes": GaussianNB(),
        "SCARF": SSLClassifier(scarf, **frozen),
        "VIME": SSLClassifier(vime, **frozen),
    }
    trained = {"scratch": SSLClassifier(hidden_layer_sizes=(8,)), "genes": GaussianNB()}
    embeddings = {"PCA": PCA(3), "SCARF": scarf}
    curve = evaluation.label_efficiency_curve(entries, X, y, label_sizes=[20, 30], **LABELS)
    return {
        "LabelEfficiencyDisplay": curve,
        "GainDisplay": curve,
        "LossCurveDisplay": curve,
        "ConvergenceDisplay": evaluation.convergence_curve(
            trained, X, y, label_size=20, max_epochs=3, **LABELS
        ),
        "PretrainingSizeDisplay": evaluation.pretraining_size_curve(
            entries, X, y, label_size=20, pretrain_sizes=[0.5, 1.0], **LABELS
        ),
        "ArchitectureDisplay": evaluation.architecture_sweep(
            {"SCARF": entries["SCARF"]}, X, y, label_sizes=[20], depths=[1, 2], widths=[4], **LABELS
        ),
        "SpectrumDisplay": evaluation.embedding_spectrum(embeddings, X, cv=2, random_state=0),
        "AlignmentUniformityDisplay": evaluation.alignment_uniformity(
            embeddings, X, cv=2, random_state=0
        ),
        "LabelPreservationDisplay": evaluation.label_preservation(
            {"genes": GaussianNB()}, X, y, rates=[0.3, 0.6], cv=2, random_state=0
        ),
    }


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def make(display, results, **options):
    names = ("SCARF", "genes") if display is plotting.GainDisplay else ()
    return display.from_results(results[display.__name__], *names, **options)


@pytest.mark.parametrize("display", DISPLAYS)
def test_axes_given_are_used_and_no_figure_is_made(display, results):
    figure, axes = plt.subplots(1, 2)
    shown = make(display, results, ax=axes[1])
    assert shown.ax_ is axes[1]
    assert shown.figure_ is figure
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]
    again = shown.plot()
    assert again is shown
    assert shown.figure_ is not figure
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("display", DISPLAYS)
def test_legends_stand_outside_only_where_there_is_room(display, results):
    for layout in (None, "constrained"):
        _, ax = plt.subplots(layout=layout)
        shown = make(display, results, ax=ax)
        shown.figure_.canvas.draw()
        legend, page = ax.get_legend().get_window_extent(), shown.figure_.bbox
        assert (legend.min >= page.min).all()
        assert (legend.max <= page.max).all()
        beyond = legend.x0 > ax.bbox.x1 or legend.y0 > ax.bbox.y1 - 1
        assert beyond == (layout == "constrained" and display not in INSIDE)


@pytest.mark.parametrize("display", DISPLAYS)
def test_legends_leave_small_axes_their_width(display, results):
    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for ax in axes.flat:
        make(display, results, ax=ax)
    figure.canvas.draw()
    assert min(ax.bbox.width for ax in axes.flat) / figure.dpi > 2


@pytest.mark.parametrize("display", DISPLAYS)
def test_no_global_setting_is_touched(display, results):
    before = dict(matplotlib.rcParams)
    _, current = plt.subplots()
    _, ax = plt.subplots()
    plt.sca(current)
    make(display, results, ax=ax)
    assert plt.gca() is current
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_the_extra_is_named(display, results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__} .* pip install 'sslgex\[plot\]'"):
        make(display, results)


@pytest.mark.parametrize("display", DISPLAYS)
def test_examples_of_methods_run_and_parameters_are_documented(display):
    for name in ("from_results", "from_estimator", "plot"):
        method = getattr(display, name)
        for test in doctest.DocTestFinder().find(method, name, globs={}):
            assert doctest.DocTestRunner().run(test).failed == 0
        section = inspect.getdoc(method).split("Parameters\n")[1].split("Returns\n")[0]
        lines = dict(re.findall(r"^(\w+(?:, \w+)*) : (.*)$", section, re.M))
        parameters = dict(inspect.signature(method).parameters)
        parameters.pop("self", None)
        parameters = {n: p for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
        assert [name for names in lines for name in names.split(", ")] == list(parameters)
        for names, line in lines.items():
            for parameter in names.split(", "):
                default = parameters[parameter].default
                if default is inspect.Parameter.empty:
                    assert "default=" not in line
                else:
                    assert line.endswith(f"default={default!r}".replace("'", '"'))


@pytest.mark.parametrize("display", DISPLAYS)
def test_attributes_are_documented(display, results):
    section = inspect.getdoc(display).split("Attributes\n")[1].split("See Also")[0]
    lines = re.findall(r"^(\w+(?:, \w+)*) : ", section, re.M)
    documented = {name for line in lines for name in line.split(", ")}
    assert documented == set(vars(make(display, results)))
