from pathlib import Path

import pytest

from brainage.config.compare import (
    compare_config_from,
    compare_config_hash,
    dump_compare_config,
    load_compare_config,
)
from brainage.config.load import load_config
from brainage.config.yaml_text import parse_yaml
from brainage.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = ("compare_bp_lfnn3d.yaml", "cohort/compare.yaml")
BASE = """
name: base
seed: 7
backbone: {name: resnet, depth: 18, width: 8}
trainer: {epochs: 4}
"""
COMPARISON = """
base: base.yaml
name: rules
reference: bp
seeds: [3, 5]
run: {trainer: {batch_size: 2}}
arms:
  bp: {objective: {name: bp}}
  narrow: {backbone: {width: 4}, blocks: {num_blocks: 8}}
"""


@pytest.fixture
def load(tmp_path):
    """Write a comparison with changes of its text, and load it."""

    def changed(*overrides, text=COMPARISON, **replaced):
        (tmp_path / "base.yaml").write_text(BASE)
        for before, after in replaced.items():
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "rules.yaml").write_text(text)
        return load_compare_config(tmp_path / "rules.yaml", overrides)

    return changed


def test_an_arm_is_the_base_with_what_all_share_and_its_own_changes(load):
    arm = load().arm("narrow", 5)
    assert (arm.trainer.epochs, arm.trainer.batch_size) == (4, 2)
    assert (arm.backbone.name, arm.backbone.depth, arm.backbone.width) == ("resnet", 18, 4)
    assert (arm.objective.name, arm.blocks.num_blocks, arm.seed) == ("lfnn_l", 8, 5)
    assert load().arm("bp", 3).backbone.width == 8


def test_what_is_saved_needs_no_base_and_gives_the_same_comparison(load):
    config = load()
    again = compare_config_from(parse_yaml(dump_compare_config(config), "saved"))
    assert again == config
    assert compare_config_hash(again) == compare_config_hash(config)


def test_single_keys_can_be_changed_and_arms_left_out(load):
    config = load(
        "run.trainer.epochs=9",
        "arms.narrow.objective.leader_fraction=0.5",
        "arms.wide={backbone: {width: 16}}",
        "seeds=[1]",
    )
    assert config.seeds == (1,)
    assert [config.arm(name, 1).backbone.width for name in config.arms] == [8, 4, 16]
    assert config.arm("narrow", 1).objective.leader_fraction == 0.5
    assert config.arm("narrow", 1).blocks.num_blocks == 8
    assert config.arm("bp", 1).trainer.epochs == 9
    assert list(load("arms.wide={}", "arms.narrow=null").arms) == ["bp", "wide"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("arms.narrow.seed=4", r"arms\.narrow\.seed: arms are paired.* set seeds"),
        ("arms.narrow.split.folds=3", r"arms\.narrow\.split: arms are paired.* set run\.split"),
        ("arms.narrow.data.manifest=a.csv", r"arms\.narrow\.data: arms are paired"),
        ("arms.narrow.preprocess.grid.spacing_mm=2.0", r"arms\.narrow\.preprocess: arms are pair"),
        ("arms.narrow.num_threads=1", r"arms\.narrow\.num_threads: arms are paired"),
        ("arms.narrow.trainer.device=cpu", r"arms\.narrow\.trainer\.device: .* on one device"),
        ("arms.narrow.trainer.epoch=3", r"arms\.narrow: trainer\.epoch: unknown key, .* epochs"),
        ("arms.narrow.blocks.num_blocks=99", r"arms\.narrow: blocks\.num_blocks: expected at most"),
        ("arms.baselines={}", r"arms: expected names .* none of them 'baselines'"),
        ("arms.a/b={}", r"arms: expected names"),
        ("arms.narrow=null", r"arms: expected at least two"),
        ("arms.bp=null", r"arms: expected at least two|reference: expected one of"),
        ("reference=dgl", r"reference: expected one of the arms bp, narrow, got 'dgl'"),
        ("seeds=[]", r"seeds: expected different numbers, at least one"),
        ("seeds=[1, 1]", r"seeds: expected different numbers"),
        ("target_mae_years=0", r"target_mae_years: expected a positive number or null"),
        ("speed_rounds=3", r"speed_rounds: expected at least 5, for a median, or 0"),
        ("run.seed=3", r"run\.seed: not used here; a comparison has seeds of its own"),
        ("run.trainer.epochs=many", r"run\.trainer\.epochs: expected a whole number, got 'many'"),
        ("trainer.epochs=3", r"trainer: unknown key, did you mean run\.trainer"),
        ("run.split={folds: 2, repeats: 2}", r"run\.split\.repeats: expected 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_its_key(load, override, message):
    with pytest.raises(ConfigError, match=message):
        load(override)


def test_a_base_that_is_not_there_is_named(load):
    with pytest.raises(ConfigError, match=r"base: no configuration gone\.yaml"):
        load(text=COMPARISON.replace("base.yaml", "gone.yaml"))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_comparison_loads_and_says_its_command(name):
    text = (ROOT / "configs" / name).read_text(encoding="utf-8")
    assert f"command:  brainage compare --config {name}" in text
    config = load_compare_config(ROOT / "configs" / name)
    assert config.name == "-".join(Path(name).with_suffix("").parts)


def test_the_small_comparison_differs_from_a_plain_run_in_its_length_only():
    plain = load_config(ROOT / "configs" / "bp3d.yaml")
    arm = load_compare_config(ROOT / "configs" / CONFIGS[0]).arm("bp", plain.seed)
    assert (arm.objective, arm.backbone, arm.split) == (
        plain.objective,
        plain.backbone,
        plain.split,
    )
