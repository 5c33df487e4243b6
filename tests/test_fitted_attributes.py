"""Fitted attributes are those that are documented, with their types and shapes, in every mode."""

import numpy as np
import pandas as pd
import pytest
from documented_types import assert_as_documented, conforms
from sklearn.decomposition import PCA

from sslgex import ByolTransformer, ScarfTransformer, SSLClassifier, VimeTransformer
from sslgex.datasets import make_expression
from sslgex.preprocessing import (
    BatchCorrector,
    GeneAligner,
    GeneFilter,
    LogCounts,
    QuantileNormalizer,
    RankNormalizer,
)

SMALL = {"max_epochs": 2, "random_state": 0}
PRETRAINERS = {
    "as by default": ScarfTransformer((4,), **SMALL),
    "another method": ByolTransformer((4,), **SMALL),
    "a published encoder": VimeTransformer((4, 4), architecture="mlp", **SMALL),
    "early stopping": ScarfTransformer((4,), early_stopping=True, **SMALL),
    "not standardised": VimeTransformer((4,), standardize=False, **SMALL),
}
CLASSIFIERS = {
    "as by default": SSLClassifier(PRETRAINERS["as by default"], **SMALL),
    "frozen": SSLClassifier(PRETRAINERS["as by default"], mode="frozen", **SMALL),
    "linear": SSLClassifier(PCA(3), mode="frozen", head="linear", **SMALL),
    "from scratch": SSLClassifier(hidden_layer_sizes=(4,), **SMALL),
    "the study's": SSLClassifier(
        PRETRAINERS["as by default"], head="sgd", early_stopping=True, **SMALL
    ),
}
STEPS = [
    BatchCorrector(),
    GeneAligner(),
    GeneFilter(n_top_genes=5),
    LogCounts(check_counts=False),
    QuantileNormalizer(),
    RankNormalizer(),
]
WRONG = {
    "ndarray of shape (n,)": np.zeros((2, 2)),
    "ndarray of shape (n, n)": np.zeros((2, 3)),
    "ndarray of shape (n, 3)": np.zeros((2, 2)),
    "ndarray of shape (n_known,)": np.zeros(4),
    "ndarray of shape (n,), int": np.zeros(4),
    "ndarray of shape (n,), float64": np.zeros(4, np.float32),
    "list of float": [1.0, None],
    "list of str or None": [1, None],
    "dict of str to list of int": {"a": [1, "b"]},
    "float or None": "1.0",
    "int": True,
    '{"a", "b"}': "c",
    "(int, int)": (1, 2, 3),
    "torch.nn.Module": PCA(),
    "transformer": 3,
}


@pytest.fixture(scope="module")
def data():
    return make_expression(40, 20, n_informative=4, class_sep=3, return_X_y=True, random_state=0)


@pytest.mark.parametrize("estimator", PRETRAINERS.values(), ids=PRETRAINERS)
def test_of_pretrainers(estimator, data):
    assert_as_documented(estimator.fit(data[0]))


@pytest.mark.parametrize("estimator", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_of_the_classifier(estimator, data):
    assert_as_documented(estimator.fit(*data))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_of_steps_of_preprocessing_and_of_named_genes(step, data):
    X = pd.DataFrame(data[0]).add_prefix("gene")
    step.fit(X)
    assert list(step.feature_names_in_) == list(X.columns)
    assert_as_documented(step)


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_type_or_shape_is_told(kind):
    assert not conforms(WRONG[kind], kind, {"n_known": 3})


def test_an_attribute_that_is_not_documented_is_told(data):
    step = RankNormalizer().fit(data[0])
    step.secret_ = 1
    with pytest.raises(AssertionError, match="secret_"):
        assert_as_documented(step)
