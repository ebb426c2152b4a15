# ruff: noqa: E501 - a row of the table stays on one line
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.config.validation import to_plain, validate
from brainage.errors import ConfigError
from tests.config.settings import Deep, Grid, Preparation, Rule, Settings, Small


def problem(**content) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(Settings, {"name": "run", **content})
    return str(caught.value)


def test_defaults_fill_what_is_left_out():
    assert validate(Settings, {"name": "run"}) == Settings(name="run")


def test_every_kind_of_value_is_taken():
    settings = validate(
        Settings,
        {
            "name": "run",
            "rule": {"leader_fraction": 1},
            "network": {"name": "deep", "channels": [1, 2, 3], "dropout": 0.5},
            "preparation": {"grid": {"shape_XYZ": [1, 2, 3]}, "folder": "derivatives"},
        },
    )
    assert settings.network == Deep(channels=(1, 2, 3), dropout=0.5)
    assert settings.preparation == Preparation(
        grid=Grid(shape_XYZ=(1, 2, 3)), folder=Path("derivatives")
    )
    assert isinstance(settings.rule.leader_fraction, float)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rule": {"leader_fracton": 1}}, "rule.leader_fracton: unknown key, did you mean leader_fraction?"),
        ({"rul": {}}, "rul: unknown key, did you mean rule?"),
        ({"leader_fraction": 1}, "leader_fraction: unknown key, did you mean rule.leader_fraction?"),
        ({"preparation": {"grid": {"zzz": 1}}}, "preparation.grid.zzz: unknown key, known here: shape_XYZ, mirror"),
        ({"rule": {"leader_fraction": 1.5}}, "rule.leader_fraction: expected a fraction in (0, 1], got 1.5"),
        ({"rule": {"leader_fraction": float("nan")}}, "rule.leader_fraction: expected a finite number, got nan"),
        ({"rule": {"leader_fraction": True}}, "rule.leader_fraction: expected a number, got true"),
        ({"rule": {"leader_fraction": "0.5"}}, "rule.leader_fraction: expected a number, got '0.5'"),
        ({"rule": {"name": "bpp"}}, "rule.name: expected 'bp' or 'lfnn_l', got 'bpp'"),
        ({"rule": None}, "rule: expected keys and values, got null"),
        ({"rule": 3}, "rule: expected keys and values, got 3"),
        ({"seed": 3.0}, "seed: expected a whole number, got 3.0"),
        ({"seed": True}, "seed: expected a whole number, got true"),
        ({"seed": "3"}, "seed: expected a whole number, got '3'"),
        ({"name": 3}, "name: expected text, got 3"),
        ({"network": {"width": "a"}}, "network.width: expected a whole number, got 'a'"),
        ({"network": {"name": "deep", "width": 3}}, "network.width: unknown key, known here: name, channels, dropout"),
        ({"network": {"name": "deep", "channels": [1, "b"]}}, "network.channels.1: expected a whole number, got 'b'"),
        ({"network": {"name": "wide"}}, "network.name: expected 'small', 'deep', got 'wide'"),
        ({"network": {"name": None}}, "network.name: expected 'small', 'deep', got null"),
        ({"network": "deep"}, "network: expected keys and values, got 'deep'"),
        ({"preparation": {"grid": {"mirror": 1}}}, "preparation.grid.mirror: expected true or false, got 1"),
        ({"preparation": {"grid": {"shape_XYZ": [1, 2]}}}, "preparation.grid.shape_XYZ: expected more values, got [1, 2]"),
        ({"preparation": {"grid": {"shape_XYZ": [1, 2, 3, 4]}}}, "preparation.grid.shape_XYZ: expected 3 values, got [1, 2, 3, 4]"),
        ({"preparation": {"grid": {"shape_XYZ": 3}}}, "preparation.grid.shape_XYZ: expected a list, got 3"),
        ({"preparation": {"folder": 3}}, "preparation.folder: expected text, got 3"),
        ({"preparation": {"folder": "x", "grid": {"mirror": True}}}, "preparation: a folder and a mirror do not go together"),
        ({"rule": {3: 1}}, "rule.3: expected text as a key, got 3"),
        ({"seed": {1}}, "seed: expected a plain value, got {1}"),
    ],
)  # fmt: skip
def test_a_problem_is_told_with_the_path_of_its_key(content, message):
    assert problem(**content) == message


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match=r"^name: needed, but not given$"):
        validate(Settings, {})


def test_all_problems_are_told_in_one_line():
    told = problem(seed="x", rule={"leader_fraction": 0}, netwrk={})
    assert sorted(part.split(":")[0] for part in told.split("; ")) == [
        "netwrk",
        "rule.leader_fraction",
        "seed",
    ]


def test_an_unknown_key_hides_no_other_problem():
    content = {"name": "run", "zzz": 1, "rule": {"leader_fraction": 7, "yyy": 2}, "seed": "x"}
    told = problem(**content)
    assert [part.split(":")[0] for part in told.split("; ")] == [
        "rule.yyy",
        "zzz",
        "seed",
        "rule.leader_fraction",
    ]


rules = st.builds(
    Rule,
    name=st.sampled_from(["bp", "lfnn_l"]),
    leader_fraction=st.floats(0, 1, exclude_min=True),
)
networks = st.builds(Small, width=st.integers()) | st.builds(
    Deep, channels=st.lists(st.integers(), max_size=4).map(tuple), dropout=st.floats(0, 1)
)


@given(st.builds(Settings, name=st.text("ab1-", min_size=1), rule=rules, network=networks))
def test_plain_values_build_the_same_configuration_again(settings):
    assert validate(Settings, to_plain(settings)) == settings
