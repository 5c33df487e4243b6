"""The HTML repr of an estimator links to its page of the documentation."""

import configparser
import re

import pytest
from public_api import API_PAGE, listed_in_the_api_page, public_objects
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

import sslgex
from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, _doc_link
from sslgex.datasets import make_expression
from sslgex.evaluation import default_baselines
from sslgex.preprocessing import GeneFilter, LogCounts

PAGES = f"https://sslgex.readthedocs.io/en/v{sslgex.__version__}/generated"
ESTIMATORS = {
    name: obj
    for name, obj in public_objects().items()
    if isinstance(obj, type) and issubclass(obj, BaseEstimator)
}


def pages(estimator):
    """Return the names of our pages that an estimator's repr links to."""
    links = re.findall(r'href="([^"#]*)', estimator._repr_html_())
    return {link.removeprefix(PAGES + "/") for link in links if link.startswith(PAGES)}


def test_there_are_the_estimators_that_the_next_test_is_for():
    assert {"sslgex.SSLClassifier", "sslgex.preprocessing.GeneAligner"} < set(ESTIMATORS)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_public_estimator_links_to_its_page(name):
    assert pages(ESTIMATORS[name]()) == {f"{name}.html"}
    assert name in listed_in_the_api_page()


def test_every_step_of_a_pipeline_and_a_nested_encoder_have_their_links():
    clf = SSLClassifier(ByolTransformer(), mode="frozen")
    pipeline = make_pipeline(LogCounts(), GeneFilter(), clf)
    assert pages(pipeline) == {
        "sslgex.preprocessing.LogCounts.html",
        "sslgex.preprocessing.GeneFilter.html",
        "sslgex.SSLClassifier.html",
        "sslgex.ByolTransformer.html",
    }


def test_a_fitted_classifier_has_the_links_and_its_state():
    X, y = make_expression(n_samples=30, n_genes=20, n_informative=4, return_X_y=True)
    scarf = ScarfTransformer((4,), max_epochs=1).fit(X)
    clf = SSLClassifier(scarf, mode="frozen", head="linear").fit(X, y)
    assert pages(clf) == {"sslgex.SSLClassifier.html", "sslgex.ScarfTransformer.html"}
    assert "<span>Fitted</span>" in clf._repr_html_()


def test_baselines_link_to_the_page_that_explains_them():
    linked = {name: pages(baseline) for name, baseline in default_baselines().items()}
    known = {f"{name}.html" for name in listed_in_the_api_page()}
    assert set().union(*linked.values()) <= known
    for name in ("label spreading", "nearest centroid", "random forest"):
        assert "sslgex.evaluation.default_baselines.html" in linked[name]


def test_a_method_of_a_users_own_links_to_nothing_here():
    class Mine(ScarfTransformer):
        pass

    assert Mine.__module__.partition(".")[0] != "sslgex"
    assert pages(Mine()) == set()


def test_between_releases_the_link_is_to_the_latest_pages(monkeypatch):
    monkeypatch.setattr(sslgex, "__version__", "0.2.0.dev0")
    assert ScarfTransformer()._get_doc_link() == (
        "https://sslgex.readthedocs.io/en/latest/generated/sslgex.ScarfTransformer.html"
    )


def test_the_metadata_name_the_same_site():
    config = configparser.ConfigParser()
    config.read(API_PAGE.parent.parent / "setup.cfg", encoding="utf-8")
    assert "project_urls" in config["metadata"]
    urls = dict(re.findall(r"(\w+) = (\S+)", config["metadata"]["project_urls"]))
    assert _doc_link.SITE.startswith(urls["Documentation"])
