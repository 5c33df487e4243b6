"""scikit-learn's own checks on the preprocessing steps."""

import pytest
import sklearn.utils.estimator_checks as checks
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from unyielded_checks import MORE

from sslgex import preprocessing

CLASSES = {
    name: cls
    for name in preprocessing.__all__
    if isinstance(cls := getattr(preprocessing, name), type) and issubclass(cls, BaseEstimator)
}
# The checks give small values with fractions, which LogCounts takes for logs.
PARAMETERS = {"LogCounts": {"check_counts": False}}
INSTANCES = {name: cls(**PARAMETERS.get(name, {})) for name, cls in CLASSES.items()}

EMPTY = "a sample without a single count is refused, and the check has some"
EXPECTED_FAILURES = {
    "GeneAligner": {
        "check_dataframe_column_names_consistency": "other names in another order are its task",
    },
    "LogCounts": {
        "check_estimator_sparse_array": EMPTY,
        "check_estimator_sparse_matrix": EMPTY,
        "check_estimator_sparse_tag": EMPTY,
        "check_estimators_dtypes": EMPTY,
        "check_fit2d_1feature": EMPTY,
    },
}


@pytest.mark.parametrize("estimator", INSTANCES.values(), ids=INSTANCES)
def test_no_tag_weakens_the_checks(estimator):
    tags = get_tags(estimator)
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert tags.requires_fit
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


def test_only_counts_must_be_positive():
    positive = [name for name, e in INSTANCES.items() if get_tags(e).input_tags.positive_only]
    assert positive == ["LogCounts"]


@checks.parametrize_with_checks(
    list(INSTANCES.values()),
    expected_failed_checks=lambda e: EXPECTED_FAILURES.get(type(e).__name__, {}),
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# The checks of set_output fit a data frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("check", MORE)
@pytest.mark.parametrize("estimator", INSTANCES.values(), ids=INSTANCES)
def test_checks_scikit_learn_does_not_yield(estimator, check):
    name = type(estimator).__name__
    if check not in EXPECTED_FAILURES.get(name, {}):
        getattr(checks, check)(name, estimator)
        return
    with pytest.raises(AssertionError):
        getattr(checks, check)(name, estimator)
