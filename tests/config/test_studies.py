import pytest

from brainage.config.studies import (
    ComplexityStudyConfig,
    LeaderComplexityConfig,
    WorkerStudyConfig,
    study_from,
)
from brainage.core.compatibility import conflicts
from brainage.core.config import TaskConfig
from brainage.errors import ConfigError


def test_changes_keep_the_network_of_the_supplement():
    config = study_from(WorkerStudyConfig, {"recipe": {"trainer": {"epochs": 5}}})
    assert config.recipe.trainer.epochs == 5
    assert config.recipe.backbone.hidden_sizes == (320, 320)
    assert config.recipe.heads.readout == "units"
    assert config.recipe.objective.leader_fraction == 0.2
    assert config.activity.leader_fraction == 0.3
    recipe = config.recipe
    classes = TaskConfig(name="classification", num_classes=10)
    assert list(conflicts(classes, recipe.objective, recipe.heads, recipe.engine)) == []


@pytest.mark.parametrize(
    ("study", "changes", "message"),
    [
        (WorkerStudyConfig, {"seeds": []}, "seeds: expected different numbers"),
        (WorkerStudyConfig, {"evaluate_every": 0}, "evaluate_every: expected at least 1"),
        (WorkerStudyConfig, {"random_draws": 0}, "random_draws"),
        (WorkerStudyConfig, {"num_threads": 0}, "num_threads"),
        (WorkerStudyConfig, {"activity": {"leader_fraction": 1.0}}, "activity.leader_fraction"),
        (WorkerStudyConfig, {"activity": {"record_every": 0}}, "activity.record_every"),
        (WorkerStudyConfig, {"vicsek": {"noise": 7.0}}, "vicsek.noise: expected radians"),
        (WorkerStudyConfig, {"vicsek": {"radius": 0.0}}, "vicsek.radius"),
        (WorkerStudyConfig, {"recipe": {"objective": {"name": "bp"}}}, "recipe.objective.name"),
        (
            WorkerStudyConfig,
            {"recipe": {"objective": {"leader_fraction": 1.0}}},
            "recipe.objective.leader_fraction: expected less than 1",
        ),
        (WorkerStudyConfig, {"speed": 1}, "speed: unknown key"),
        (ComplexityStudyConfig, {"order": 10}, "order: expected from 2 to 9"),
        (ComplexityStudyConfig, {"data": []}, "data: expected different image sets"),
        (ComplexityStudyConfig, {"largest_moment": 0.0}, "largest_moment"),
        (ComplexityStudyConfig, {"native_orders": {"mnist": 5}}, "native_orders: expected one for"),
        (LeaderComplexityConfig, {"num_lf_workers": 0}, "num_lf_workers"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(study, changes, message):
    with pytest.raises(ConfigError, match=message):
        study_from(study, changes)
