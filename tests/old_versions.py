"""Marks of tests for what the lowest versions that setup.cfg allows do not have."""

import pytest
import sklearn
from sklearn.utils.fixes import parse_version


def needs_sklearn(version, why):
    """Return the mark of a test that an older scikit-learn cannot pass."""
    old = parse_version(sklearn.__version__) < parse_version(version)
    return pytest.mark.skipif(old, reason=f"scikit-learn {version} and later {why}")


takes_tables = needs_sklearn("1.7", "takes columns of a pyarrow table")
routes_to_score = needs_sklearn("1.8", "routes what cross_validate is given to a Pipeline's score")
