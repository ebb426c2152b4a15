"""Settings that do not go together are refused in one line, in a run and in one's own program."""

import pytest
import torch
from torch import nn

from brainage.config.load import load_config
from brainage.config.speed import load_speed_config
from brainage.core.compatibility import conflicts
from brainage.core.config import HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.learner import Learner
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig
from brainage.errors import ConfigError
from brainage.workflows.benchmark.speed import benchmark_speed

REGRESSION, BINS = TaskConfig(name="regression"), TaskConfig(name="soft_bins")
CLASSES = TaskConfig(name="classification", num_classes=3)


def told(
    task: TaskConfig,
    objective: ObjectiveConfig | None = None,
    heads: HeadConfig | None = None,
    engine: EngineConfig | None = None,
) -> list[str]:
    return list(
        conflicts(
            task, objective or ObjectiveConfig(), heads or HeadConfig(), engine or EngineConfig()
        )
    )


@pytest.mark.parametrize("task", [REGRESSION, BINS], ids=lambda task: task.name)
def test_forward_forward_is_for_classes_only(task: TaskConfig) -> None:
    (line,) = told(task, ObjectiveConfig(name="forward_forward"))
    assert line.startswith("objective.name: forward_forward")
    assert f"got '{task.name}'" in line
    assert told(CLASSES, ObjectiveConfig(name="forward_forward")) == []


@pytest.mark.parametrize("distance", ["mse_probability", "kl"])
@pytest.mark.parametrize("rule", ["lfnn", "lfnn_l"])
@pytest.mark.parametrize(
    "leadership",
    [{"leader_fraction": 0.5}, {"final_leader_fraction": 0.5}, {"adaptive_leader_fraction": True}],
    ids=str,
)
def test_probabilities_of_a_plain_age_cannot_be_compared(
    distance: str, rule: str, leadership: dict[str, object]
) -> None:
    objective = ObjectiveConfig(name=rule, follower_distance=distance, **leadership)
    (line,) = told(REGRESSION, objective)
    assert line.startswith("objective.follower_distance: expected 'geman_mcclure' or 'mse_logit'")
    assert told(BINS, objective) == told(CLASSES, objective) == []


@pytest.mark.parametrize("distance", ["mse_logit", "geman_mcclure"])
def test_plain_outputs_can_always_be_compared(distance: str) -> None:
    objective = ObjectiveConfig(leader_fraction=0.5, follower_distance=distance)
    assert [told(task, objective) for task in (REGRESSION, BINS, CLASSES)] == [[]] * 3


def test_a_distance_that_nobody_uses_is_not_in_the_way() -> None:
    for objective in (ObjectiveConfig(leader_fraction=1.0), ObjectiveConfig(name="bp")):
        assert told(REGRESSION, objective) == []


@pytest.mark.parametrize(
    "objective",
    [ObjectiveConfig(name="predsim"), ObjectiveConfig(name="dgl", similarity_weight=0.3)],
    ids=lambda objective: objective.name,
)
def test_similarity_needs_a_distribution(objective: ObjectiveConfig) -> None:
    (line,) = told(REGRESSION, objective)
    assert line.startswith(f"task.name: expected 'soft_bins' for objective {objective.name}")
    assert told(BINS, objective) == told(CLASSES, objective) == []


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"forward_forward"}))
def test_every_other_rule_predicts_ages(rule: str) -> None:
    assert told(BINS, ObjectiveConfig(name=rule)) == []


@pytest.mark.parametrize(
    ("rule", "workers"), [("bp", True), ("dgl", True), ("lfnn_l", False), ("lfnn", False)]
)
def test_a_separate_output_head_needs_workers_that_teach(rule: str, workers: bool) -> None:
    """Without them the last block's stages would stay as they were drawn, unnoticed."""
    heads = HeadConfig(separate_output=True, output_block_workers=workers)
    (line,) = told(CLASSES, ObjectiveConfig(name=rule), heads)
    assert line.startswith("heads.separate_output: true leaves the stages of the output block")
    heads = HeadConfig(separate_output=True)
    assert told(CLASSES, ObjectiveConfig(name="lfnn_l"), heads) == []


@pytest.mark.parametrize(
    ("rule", "heads", "start"),
    [
        ("lfnn_l", HeadConfig(readout="group"), "objective.followers_share_global: false needs"),
        ("lfnn", HeadConfig(readout="block"), "objective.followers_share_global: false needs"),
        (
            "lfnn",
            HeadConfig(readout="group", auxiliary="downstream"),
            "heads.auxiliary: expected 'none' with objective.followers_share_global false",
        ),
        (
            "lfnn",
            HeadConfig(readout="units", auxiliary="mlp_sr"),
            "heads.auxiliary: expected 'none' with readout 'units'",
        ),
    ],
)
def test_shielding_followers_needs_channels_of_their_own(
    rule: str, heads: HeadConfig, start: str
) -> None:
    objective = ObjectiveConfig(name=rule, leader_fraction=0.5, followers_share_global=False)
    (line,) = told(CLASSES, objective, heads)
    assert line.startswith(start)


@pytest.mark.parametrize("rule", RULES)
def test_recomputing_is_for_rules_of_one_backward_pass(rule: str) -> None:
    engine = EngineConfig(recompute_activations=True)
    found = told(CLASSES, ObjectiveConfig(name=rule), None, engine)
    fits = rule in {"bp", "bp_deep_supervision", "feedback_alignment"}
    assert [line.split(":")[0] for line in found] == ["engine.recompute_activations"] * (not fits)


CASES = [
    (REGRESSION, ObjectiveConfig(name="forward_forward"), "objective.name: forward_forward"),
    (REGRESSION, ObjectiveConfig(name="predsim"), "task.name: expected 'soft_bins'"),
    (REGRESSION, ObjectiveConfig(leader_fraction=0.5), "objective.follower_distance: expected"),
]


@pytest.mark.parametrize(("task", "objective", "start"), CASES)
def test_a_learner_refuses_before_it_trains(
    task: TaskConfig, objective: ObjectiveConfig, start: str
) -> None:
    with pytest.raises(ValueError, match=start) as caught:
        Learner(nn.Sequential(nn.Linear(5, 4)), task, (5,), objective=objective)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("task", "objective", "start"), CASES)
def test_a_run_refuses_when_its_configuration_loads(
    task: TaskConfig, objective: ObjectiveConfig, start: str
) -> None:
    settings = [
        f"task.name={task.name}",
        f"objective.name={objective.name}",
        f"objective.leader_fraction={objective.leader_fraction}",
    ]
    with pytest.raises(ConfigError, match=start) as caught:
        load_config("lfnn3d.yaml", settings)
    assert "\n" not in str(caught.value)


def test_a_speed_comparison_refuses_before_it_measures() -> None:
    settings = ["task.name=regression", "objective.leader_fraction=0.5", "input_shape=[1,16,16,16]"]
    config = load_speed_config("speed/single.yaml", settings)
    with pytest.raises(ConfigError, match=r"objective\.follower_distance: expected"):
        benchmark_speed(config, report=lambda _: pytest.fail("measuring"))


def test_all_problems_are_told_at_once() -> None:
    objective = ObjectiveConfig(name="predsim")
    heads = HeadConfig(separate_output=True)
    with pytest.raises(ValueError, match=r"task\.name: .*; heads\.separate_output: "):
        Learner([nn.Linear(5, 4)], REGRESSION, (5,), objective=objective, heads=heads, device="cpu")


def test_what_goes_together_trains() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 5, generator=generator)
    ages = 40 + 10 * inputs[:, 0]
    objective = ObjectiveConfig(leader_fraction=0.5, follower_distance="geman_mcclure")
    learner = Learner(
        [nn.Linear(5, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)],
        REGRESSION,
        (5,),
        objective=objective,
    )
    learner.fit(inputs, ages, epochs=1)
    assert torch.isfinite(learner.predict(inputs)).all()
