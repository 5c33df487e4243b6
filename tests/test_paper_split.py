"""The study's split, and genes that data sets have in common."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sslgex.datasets import common_genes, paper_split

Y = np.repeat(["a", "b", "c"], [600, 300, 100])
PATIENTS = np.arange(1000) // 4


def test_split_has_the_sizes_of_the_study():
    parts = paper_split(np.arange(9349) % 19, random_state=0)
    assert [len(part) for part in parts] == [7291, 1029, 1029]


def test_split_takes_numbers_of_samples():
    parts = paper_split(Y, test_size=50, validation_size=120, random_state=0)
    assert [len(part) for part in parts] == [830, 120, 50]


def test_split_has_every_sample_once():
    parts = paper_split(Y, random_state=0)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1000))


@pytest.mark.parametrize("groups", [None, PATIENTS], ids=["samples", "groups"])
def test_split_keeps_the_proportions_of_classes(groups):
    test = paper_split(Y, groups, test_size=0.1, random_state=0)[2]
    np.testing.assert_allclose(np.mean(Y[test] == "a"), 0.6, atol=0.03)


def test_split_never_divides_a_group():
    train, validation, test = (set(PATIENTS[p]) for p in paper_split(Y, PATIENTS, random_state=0))
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)


def test_split_with_groups_has_about_the_size():
    test = paper_split(Y, PATIENTS, test_size=0.1, random_state=0)[2]
    assert abs(len(test) - 100) <= 10


def test_split_is_the_same_with_the_same_seed():
    one, two = (paper_split(Y, PATIENTS, random_state=5)[0] for _ in "ab")
    np.testing.assert_array_equal(one, two)


def test_split_differs_with_another_seed():
    one, two = (paper_split(Y, random_state=seed)[2] for seed in (1, 2))
    assert set(one) != set(two)


def test_split_refuses_a_class_too_small():
    with pytest.raises(ValueError, match="Class 'd' has 2 samples"):
        paper_split([*Y, "d", "d"])


def test_split_refuses_a_class_of_too_few_groups():
    with pytest.raises(ValueError, match="Class 'd' has 1 groups"):
        paper_split([*Y, "d", "d", "d"], [*PATIENTS, 777, 777, 777])


def test_split_refuses_too_few_groups():
    with pytest.raises(ValueError, match=r"n_splits=9 greater than the number of groups: 4\. Ask"):
        paper_split(np.resize(["a", "b"], 80), np.arange(80) // 20)


def test_split_warns_of_a_class_that_a_part_lacks():
    y = [*Y, *["d"] * 3]
    with pytest.warns(UserWarning, match=r"part lacks 1 classes \(first: 'd'\)"):
        paper_split(y, np.arange(1003), test_size=0.1, random_state=0)


def test_split_warns_of_a_size_that_groups_do_not_allow():
    y = np.resize(["a", "b"], 1000)
    with pytest.warns(UserWarning, match="part has 77 samples instead of 110"):
        paper_split(y, np.arange(1000) // 77, random_state=0)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_split_refuses_missing_labels(missing):
    with pytest.raises(ValueError, match="Input y contains missing values: 1 of 1,001"):
        paper_split([*Y, missing])


def test_split_refuses_missing_groups():
    groups = PATIENTS.astype(float)
    groups[3] = np.nan
    with pytest.raises(ValueError, match="Input groups contains missing values: 1 of 1,000"):
        paper_split(Y, groups)


def test_split_refuses_groups_of_another_length():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        paper_split(Y, PATIENTS[:-1])


@pytest.mark.parametrize("size", [0, 1.0, -0.1, 1000, True, "half", np.nan])
def test_split_refuses_sizes_out_of_range(size):
    with pytest.raises(ValueError, match=r"test_size=.* should be an int between 1 and 999"):
        paper_split(Y, test_size=size)


def test_split_refuses_sizes_that_leave_nothing():
    with pytest.raises(ValueError, match="leave 0 for training"):
        paper_split(Y, test_size=0.5, validation_size=0.5)


def test_split_with_groups_refuses_a_part_of_more_than_half():
    with pytest.raises(ValueError, match="half of the samples at most"):
        paper_split(Y, PATIENTS, test_size=0.6)


def test_split_refuses_fewer_test_samples_than_classes():
    with pytest.raises(ValueError, match=r"test_size = 2 should be .*Asked for were 2 of 1,000"):
        paper_split(Y, test_size=2)


GENES = ["ENSG00000141510.18", "ENSG00000012048.23"]
SYMBOLS = ["TP53", "BRCA1"]


def test_common_genes_keep_the_order_of_the_first():
    assert common_genes(["c", "a", "b"], ["a", "b", "c", "d"]).tolist() == ["c", "a", "b"]


def test_common_genes_count_a_duplicate_once():
    assert common_genes(["a", "b", "a"], ["a"]).tolist() == ["a"]


def test_common_genes_ignore_versions():
    assert common_genes(["ENSG00000141510"], GENES).tolist() == ["ENSG00000141510"]


def test_common_genes_read_fitted_estimators():
    frame = pd.DataFrame(np.eye(4), columns=["TP53", "EGFR", "KRAS", "MYC"])
    fitted = LogisticRegression().fit(frame, [0, 1, 0, 1])
    assert common_genes(fitted, frame[["MYC", "EGFR"]]).tolist() == ["EGFR", "MYC"]


def test_common_genes_say_the_kinds_when_nothing_is_common():
    with pytest.raises(ValueError, match=r"100% Ensembl gene; .*\(100% symbol; first: TP53\)"):
        common_genes(GENES, SYMBOLS)


@pytest.mark.parametrize("data", [np.eye(3), "TP53", LogisticRegression(), [1, 2]], ids=str)
def test_common_genes_refuse_what_has_no_names(data):
    with pytest.raises(TypeError, match=r"Data set 1 is a .* without gene names"):
        common_genes(GENES, data)


def test_common_genes_need_two_data_sets():
    with pytest.raises(ValueError, match="two or more data sets, got 1"):
        common_genes(GENES)
