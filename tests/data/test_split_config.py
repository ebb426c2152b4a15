import pytest

from brainage.data.split_config import SplitConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("folds", 1),
        ("inner_folds", 1),
        ("repeats", 0),
        ("repeats", 2),
        ("min_site_subjects", 0),
        ("test_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("num_age_bins", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected .*, got "):
        SplitConfig(**{field: value})


def test_folds_and_sites_exclude_each_other():
    with pytest.raises(ValueError, match=r"^folds: expected null with leave_one_site_out, got 5"):
        SplitConfig(folds=5, leave_one_site_out=True)


@pytest.mark.parametrize(
    "other", [{"test_fraction": 0.6}, {"folds": 2}, {"folds": 5, "inner_folds": 2}]
)
def test_parts_that_leave_nothing_to_train_on_are_refused(other):
    with pytest.raises(ValueError, match=r"^validation_fraction: expected less than the 0\.[45]"):
        SplitConfig(validation_fraction=0.5, **other)
