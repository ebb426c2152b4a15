"""The list of perturbations and its settings fit together."""

import pickle
from dataclasses import fields

import pytest

from brainage.errors import ConfigError
from brainage.stress.catalogue import all_perturbations, chosen_perturbations
from brainage.stress.config import Budgets, StressConfig


def test_every_level_of_a_perturbation_is_there_once():
    names = [(each.name, each.level) for each in all_perturbations(0)]
    assert len(names) == len(set(names))


def test_every_perturbation_that_must_not_matter_has_a_budget_and_no_budget_is_unused():
    tested = {each.name for each in all_perturbations(0) if each.expected == "same age"}
    assert tested == {entry.name for entry in fields(Budgets)}


def test_dose_responses_have_four_rising_doses():
    for name in ("ventricles", "cortex"):
        doses = [each.dose for each in chosen_perturbations(0, [name])]
        assert len(doses) >= 4
        assert doses == sorted(doses)


def test_perturbations_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(all_perturbations(0)))


def test_a_family_names_all_of_its_members_in_their_order():
    chosen = [each.name for each in chosen_perturbations(0, ["noise", "rotation"])]
    assert list(dict.fromkeys(chosen)) == ["rotation_header", "rotation_voxels", "noise"]
    assert {each.name for each in chosen_perturbations(0, ["crop_neck"])} == {"crop_neck"}


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"rotation_header.*got 'rotations'; did you mean"):
        chosen_perturbations(0, ["rotations"])


@pytest.mark.parametrize("years", [0.0, -1.0, 101.0, float("nan")])
def test_a_budget_out_of_range_is_refused(years):
    with pytest.raises(ValueError, match="noise: expected years"):
        Budgets(noise=years)


def test_one_budget_for_all():
    assert set(vars(StressConfig().with_budget(0.7).budgets).values()) == {0.7}
