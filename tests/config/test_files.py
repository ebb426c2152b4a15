from pathlib import Path

import pytest

from brainage.config.files import (
    apply_overrides,
    find_base,
    find_config,
    installed_configs,
    read_config,
)
from brainage.errors import ConfigError
from tests.config.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two configurations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs/cohort").mkdir(parents=True)
    (tmp_path / "configs/lfnn.yaml").write_text(
        "name: lfnn\nseed: 7\nrule: {leader_fraction: 0.5}\nnetwork: {name: deep, dropout: 0.1}\n"
    )
    (tmp_path / "configs/cohort/big.yaml").write_text("name: big\n")
    return tmp_path


def based_on_lfnn(text: str) -> dict:
    path = Path("configs/derived.yaml")
    path.write_text(f"base: lfnn.yaml\n{text}\n")
    return read_config(Settings, path)


def test_a_name_is_tried_as_given_before_the_folder(folder):
    assert find_config("lfnn.yaml") == Path("configs/lfnn.yaml")
    (folder / "lfnn.yaml").write_text("name: mine\n")
    assert find_config("lfnn.yaml") == Path("lfnn.yaml")


def test_subfolders_are_part_of_a_name():
    assert find_config("cohort/big.yaml") == Path("configs/cohort/big.yaml")


def test_the_installed_configurations_are_found_from_anywhere(folder):
    (folder / "elsewhere").mkdir()
    installed = installed_configs()
    assert installed is not None
    name = sorted(installed.rglob("*.yaml"))[0].relative_to(installed)
    assert find_config(name) == installed / name


def test_a_missing_file_tells_where_it_was_looked_for_and_what_comes_near():
    with pytest.raises(ConfigError) as caught:
        find_config("lfn.yaml")
    message = str(caught.value)
    assert message.startswith("no configuration lfn.yaml: looked for lfn.yaml, configs/lfn.yaml")
    assert "did you mean lfnn.yaml" in message


def test_a_name_near_to_nothing_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"; there are: .*cohort/big\.yaml, lfnn\.yaml"):
        find_config("qqqqqqqq")


def test_an_absolute_path_is_looked_for_only_there(folder):
    with pytest.raises(ConfigError) as caught:
        find_config(folder / "none.yaml")
    assert f"looked for {folder / 'none.yaml'};" in str(caught.value)


def test_a_derived_file_changes_single_keys_of_its_base():
    content = based_on_lfnn("name: bp\nrule: {name: bp}")
    assert content["rule"] == {"name": "bp", "leader_fraction": 0.5}
    assert content["seed"] == 7


def test_the_name_of_a_run_is_not_inherited():
    assert "name" not in based_on_lfnn("seed: 1")


def test_another_kind_of_network_replaces_the_settings_of_the_former():
    assert based_on_lfnn("network: {name: small, width: 2}")["network"] == {
        "name": "small",
        "width": 2,
    }


def test_the_default_kind_counts_as_another_kind(folder):
    (folder / "configs/plain.yaml").write_text("name: a\nnetwork: {width: 3}\n")
    path = folder / "configs/derived.yaml"
    path.write_text("base: plain.yaml\nnetwork: {name: deep}\n")
    assert read_config(Settings, path)["network"] == {"name": "deep"}


def test_naming_the_default_kind_keeps_its_settings(folder):
    (folder / "configs/plain.yaml").write_text("name: a\nnetwork: {width: 3}\n")
    path = folder / "configs/derived.yaml"
    path.write_text("base: plain.yaml\nnetwork: {name: small}\n")
    assert read_config(Settings, path)["network"] == {"name": "small", "width": 3}


def test_a_base_lies_beside_the_file_that_names_it(folder):
    (folder / "configs/cohort/derived.yaml").write_text("base: ../lfnn.yaml\nname: x\n")
    assert read_config(Settings, folder / "configs/cohort/derived.yaml")["seed"] == 7


def test_a_base_is_found_under_configs_and_among_the_installed_ones(folder):
    (folder / "mine").mkdir()
    derived = folder / "mine/lfnn.yaml"
    derived.write_text("base: lfnn.yaml\n")  # not itself
    assert read_config(Settings, derived)["seed"] == 7
    installed = installed_configs()
    assert installed is not None
    assert find_base(derived, "lfnn3d.yaml") == installed / "lfnn3d.yaml"


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (
            "none.yaml",
            "base: no configuration none.yaml, which configs/derived.yaml names: "
            "looked for configs/none.yaml, ",
        ),
        ("derived.yaml", "base: no configuration derived.yaml, which configs/derived.yaml names"),
        ("[a]", r"base: expected a file name, got \['a'\] in configs/derived.yaml"),
        ("chained.yaml", "base: configs/chained.yaml has a base itself; one level is allowed"),
    ],
)
def test_a_base_that_cannot_be_used_is_refused(folder, base, message):
    (folder / "configs/chained.yaml").write_text("base: lfnn.yaml\n")
    Path("configs/derived.yaml").write_text(f"base: {base}\n")
    with pytest.raises(ConfigError, match=message):
        read_config(Settings, Path("configs/derived.yaml"))


def overridden(*overrides: str) -> dict:
    content = read_config(Settings, find_config("lfnn.yaml"))
    return apply_overrides(Settings, content, overrides)


def test_an_override_changes_one_key_and_keeps_the_others():
    content = overridden("network.dropout=0.3")
    assert content["network"] == {"name": "deep", "dropout": 0.3}
    assert content["seed"] == 7


def test_the_last_override_of_a_key_wins():
    assert overridden("seed=1", "seed=2")["seed"] == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("[1, 2]", [1, 2]), ("null", None), ("a=b", "a=b"), ("", None)],
)
def test_override_values_are_yaml(text, value):
    assert overridden(f"rule.leader_fraction={text}")["rule"]["leader_fraction"] == value


@pytest.mark.parametrize("override", ["seed", "=3", "rule..name=bp", ".seed=1", ""])
def test_an_override_that_is_no_key_and_value_is_refused(override):
    with pytest.raises(ConfigError, match=r"^--set .*: expected key=value"):
        overridden(override)


def test_an_override_that_is_no_yaml_is_named():
    with pytest.raises(ConfigError, match=r"^--set seed=\[1, line 1: "):
        overridden("seed=[1")
