import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage.backbones.config import CNN3DConfig, MLPConfig, SFCNConfig
from brainage.config.files import installed_configs
from brainage.config.load import (
    config_from_mapping,
    config_hash,
    dump_config,
    flatten,
    load_config,
)
from brainage.config.run import RunConfig
from brainage.config.sections import all_paths
from brainage.config.validation import to_plain
from brainage.config.yaml_text import parse_yaml
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.training_config import OptimizerConfig, TrainerConfig
from brainage.data.config import DataConfig
from brainage.errors import ConfigError

positive = st.floats(1e-8, 1e3)
channels = st.lists(st.integers(1, 512), min_size=4, max_size=8).map(tuple)
backbones = (
    st.builds(CNN3DConfig, channels=channels, kernel_size=st.integers(1, 9))
    | st.builds(SFCNConfig, channels=channels)
    | st.builds(MLPConfig, hidden_sizes=channels)
)
configs = st.builds(
    RunConfig,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True),
    seed=st.integers(0, 2**32 - 1),
    num_threads=st.none() | st.integers(1, 64),
    backbone=backbones,
    heads=st.builds(HeadConfig, dropout=st.floats(0, 0.9), hidden_size=st.none() | st.just(8)),
    objective=st.builds(
        ObjectiveConfig,
        name=st.sampled_from(["bp", "lfnn", "lfnn_l"]),
        leader_fraction=st.floats(0, 1, exclude_min=True),
    ),
    optimizer=st.builds(OptimizerConfig, learning_rate=positive, clip_norm=st.none() | positive),
    trainer=st.builds(TrainerConfig, epochs=st.integers(1, 1000)),
)


@given(configs)
@settings(max_examples=25)  # each is a file's way there and back
def test_a_written_configuration_loads_as_the_same(config):
    assert config_from_mapping(parse_yaml(dump_config(config), "here")) == config


def test_a_configuration_saved_with_a_run_loads_as_the_same(tmp_path: Path):
    config = RunConfig(name="run", optimizer=OptimizerConfig(learning_rate=3e-5))
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_the_hash_depends_on_values_only():
    config = RunConfig(name="run")
    backwards = dict(reversed(to_plain(config).items()))
    assert config_hash(config_from_mapping(backwards)) == config_hash(config)
    assert config_hash(dataclasses.replace(config, seed=1)) != config_hash(config)


def test_a_run_can_go_on_with_other_memory_and_processes_but_not_with_other_data():
    config = RunConfig(name="run")
    other = DataConfig(memory_gb=1.0, num_loader_workers=3, preprocess_jobs=2)
    assert config_hash(dataclasses.replace(config, data=other)) == config_hash(config)
    balanced = dataclasses.replace(config, data=DataConfig(balance="age"))
    assert config_hash(balanced) != config_hash(config)


def test_flat_values_have_dotted_names():
    flat = flatten(RunConfig(name="run", backbone=CNN3DConfig(channels=(1, 2, 3, 4))))
    assert flat["name"] == "run"
    assert flat["trainer.epochs"] == TrainerConfig().epochs
    assert flat["backbone.channels"] == "[1, 2, 3, 4]"
    assert [
        value for value in flat.values() if not isinstance(value, str | int | float | None)
    ] == []


def refusal(**content) -> str:
    with pytest.raises(ConfigError) as caught:
        config_from_mapping({"name": "run", **content})
    return str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "-c", "x" * 65, "run.", "é"])
def test_a_name_that_is_no_folder_name_is_refused(name):
    assert refusal(name=name).startswith("name: expected letters, digits")


@pytest.mark.parametrize(
    ("content", "start"),
    [
        ({"seed": -1}, "seed: expected a number from 0"),
        ({"num_threads": 0}, "num_threads: expected at least 1 or null"),
        ({"trainer": {"epochs": 0}}, "trainer.epochs: expected at least 1, got 0"),
        ({"trainer": {"device": "tpu"}}, "trainer.device: expected auto, cpu, cuda or cuda:N"),
        ({"blocks": {"num_blocks": 0}}, "blocks.num_blocks: expected at least 1, got 0"),
        (
            {"preprocess": {"grid": {"shape_XYZ": [4, 4, 4]}}},
            "preprocess.grid.shape_XYZ: expected at least",
        ),
        ({"split": {"folds": 1}}, "split.folds: expected at least 2 or null, got 1"),
        ({"backbone": {"name": "vgg16"}}, "backbone.name: expected 'cnn3d', 'sfcn', 'mlp',"),
        ({"backbone": {"channels": [0]}}, "backbone.channels: expected positive numbers"),
    ],
)
def test_a_value_out_of_range_is_refused(content, start):
    assert refusal(**content).startswith(start)


def section_paths() -> list[str]:
    """The dotted path of every section, "" for the whole configuration."""
    paths = list(dict.fromkeys(all_paths(RunConfig)))
    return ["", *(path for path in paths if any(p.startswith(f"{path}.") for p in paths))]


@pytest.mark.parametrize("path", section_paths())
def test_an_unknown_key_is_refused_in_every_section(path):
    content: dict = {"zzz": 1}
    for key in reversed(path.split(".") if path else []):
        content = {key: content}
    assert refusal(**content).startswith(f"{path}.zzz".lstrip(".") + ": unknown key, ")


def test_every_section_is_among_those_tried():
    assert {"", "data", "preprocess", "objective", "backbone"} <= set(section_paths())


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (
            {"blocks": {"num_blocks": 5}},
            "blocks.num_blocks: expected at most 4, the stages of cnn3d, got 5",
        ),
        (
            {"backbone": {"name": "mlp", "hidden_sizes": [8]}, "blocks": {"num_blocks": 2}},
            "blocks.num_blocks: expected at most 1, the stages of mlp, got 2",
        ),
        (
            {"blocks": {"num_blocks": 2, "cuts": [4]}},
            "blocks.cuts: expected cuts before stage 4, the last of cnn3d, got [4]",
        ),
        (
            {"task": {"name": "classification", "num_classes": 3}},
            "task.name: expected 'regression' or 'soft_bins' for scans with ages",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(content, start):
    assert refusal(**content).startswith(start)


def test_as_many_blocks_as_stages_are_fine():
    config = config_from_mapping({"name": "run", "blocks": {"num_blocks": 4, "cuts": [1, 2, 3]}})
    assert config.blocks.num_blocks == 4


def test_all_conflicts_are_told_at_once():
    told = refusal(blocks={"num_blocks": 9}, task={"name": "classification", "num_classes": 2})
    assert "blocks.num_blocks" in told
    assert "; task.name" in told


FOLDER = installed_configs() or Path()


@pytest.mark.parametrize(
    "name",
    [
        path.relative_to(FOLDER).as_posix()
        for path in sorted(FOLDER.rglob("*.yaml"))
        # those of comparisons are loaded by tests/config/test_compare.py
        if path.parent.name in {FOLDER.name, "cohort"} and "compare" not in path.name
    ],
)
def test_every_configuration_that_ships_loads_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name, ["trainer.epochs=1"]).trainer.epochs == 1
