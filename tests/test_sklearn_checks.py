"""scikit-learn's own checks, the ones it runs by itself and the ones it does not."""

import inspect

import pytest
import sklearn.utils.estimator_checks as checks
from sklearn.base import BaseEstimator, is_classifier
from sklearn.decomposition import PCA
from sklearn.utils import get_tags
from unyielded_checks import MORE

import sslgex
from sslgex import ScarfTransformer, SSLClassifier

PUBLIC = sorted(
    (
        cls
        for cls in (getattr(sslgex, name) for name in sslgex.__all__)
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator)
    ),
    key=lambda cls: cls.__name__,
)
TRANSFORMERS = [cls for cls in PUBLIC if not is_classifier(cls())]

# The fewest units and epochs with which the accuracy checks hold.
SCARF = ScarfTransformer((8, 8), projection_sizes=(8,), max_epochs=2, batch_size=64)
# Every route to a classifier and every head; the pooled one, whose fits take longest, on an encoder
# of ours and on another, and fine-tuning begins with a frozen fit of it.
CLASSIFIERS = {
    "scratch": SSLClassifier(max_epochs=5),
    "scratch-frozen": SSLClassifier(hidden_layer_sizes=(16, 16), mode="frozen", head="linear"),
    "unfrozen": SSLClassifier(SCARF, max_epochs=2, batch_size=64),
    "frozen": SSLClassifier(SCARF, mode="frozen", head="linear"),
    "pca": SSLClassifier(PCA(), mode="frozen"),
}
# All else at its default in the pretrainers and in the classifier from scratch.
INSTANCES = {cls.__name__: cls(max_epochs=1) for cls in TRANSFORMERS} | CLASSIFIERS

# Most checks have labels of noise, or hardly any samples.
noise = pytest.mark.filterwarnings("ignore:Of the L2 penalties on offer:UserWarning")

REASON = (
    "a repeated sample is drawn into more batches and inner folds than one with twice the weight"
)


def expected_failed_checks(estimator):
    if not is_classifier(estimator):
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": REASON,
        "check_sample_weight_equivalence_on_sparse_data": REASON,
    }


def test_every_public_estimator_is_checked():
    assert {"ByolTransformer", "SSLClassifier", "ScarfTransformer", "VimeTransformer"} <= {
        cls.__name__ for cls in PUBLIC
    }
    assert {type(estimator) for estimator in INSTANCES.values()} == set(PUBLIC)


@pytest.mark.parametrize("estimator", INSTANCES.values(), ids=INSTANCES)
def test_no_tag_weakens_the_checks(estimator):
    tags = get_tags(estimator)
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert tags.requires_fit
    assert tags.input_tags.sparse
    assert not tags.input_tags.positive_only
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    if is_classifier(estimator):
        assert not tags.classifier_tags.poor_score
        assert tags.classifier_tags.multi_class
        assert tags.target_tags.required


@noise
@checks.parametrize_with_checks(
    list(INSTANCES.values()), expected_failed_checks=expected_failed_checks
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# What is not yielded is about names, containers and parameters, on which the heads have no say.
FAST = [name for name in INSTANCES if name not in {"scratch-frozen", "pca", "unfrozen"}]


@noise
# The checks of set_output fit a data frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", MORE)
@pytest.mark.parametrize("name", FAST)
def test_checks_scikit_learn_does_not_yield(name, check):
    estimator = INSTANCES[name]
    getattr(checks, check)(type(estimator).__name__, estimator)
