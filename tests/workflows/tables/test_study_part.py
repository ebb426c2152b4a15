import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from brainage.config.tables import load_table
from brainage.errors import ConfigError
from brainage.workflows.studies import fits
from brainage.workflows.tables.collect import collect
from tests.workflows.studies.conftest import CHANGES
from tests.workflows.tables.conftest import (
    SCALE,
    TINY,
    in_this_process,
    made_up_fit,
    tiny,
    write_table,
)
from tests.workflows.tables.whole import run_table

OUT = Path("out")
WORKERS = {
    "kind": "workers",
    "changes": {**CHANGES, "activity": None},
    "repetitions": 3,
    "methods": {"output layer": "last_epoch.output layer.{measure}.{column}"},
    "settings": {"training images": "train", "test images": "test"},
}
STUDY = {
    "name": "study",
    "title": "What the output layer does",
    "figure": "best_leaders",
    "parts": {"workers": {"study": WORKERS}},
    "rows": [
        {"part": "workers", "method": "output layer", "measure": "accuracy_percent"},
        {
            "part": "workers",
            "method": "output layer",
            "measure": "loss",
            "published": [0.5, None],
            "published_sd": [0.25, None],
        },
    ],
}
RESULT = OUT / "study/workers/result.json"


def study(*overrides, **changes):
    part = {"workers": {"study": {**WORKERS, **changes}}}
    write_table(yaml.safe_dump({**STUDY, "parts": part}), "study")
    return load_table("study", overrides)


@pytest.fixture
def trained(monkeypatch):
    """Names of the networks that are trained, in this process."""
    done = []

    def in_turn(tasks, function, shared, jobs):
        for task in tasks:
            done.append(task.name)
            yield task, function(task, shared)

    monkeypatch.setattr(fits, "in_processes", in_turn)
    return done


def test_numbers_of_a_study_are_the_cells_of_its_rows_and_it_is_done_once(trained):
    result = run_table(study(), out=OUT, full=False, jobs=1)
    assert len(trained) == 2
    summary = json.loads(RESULT.read_text())["summary"]["last_epoch"]["output layer"]
    for cell in result.rows:
        column = {"training images": "train", "test images": "test"}[cell.setting]
        expected = summary[cell.measure][column]
        assert cell.measured == pytest.approx(expected["mean"], abs=1e-4)
        assert cell.sd == pytest.approx(expected["sd"], abs=1e-4)
    assert [cell.published for cell in result.rows] == [None, None, 0.5, None]
    assert result.rows[2].published_sd == 0.25
    facts = result.parts["workers"]
    assert (facts.scale, facts.complete) == ("reduced: 2 of 3 repetitions", True)
    assert (OUT / "study-workers.png").read_bytes().startswith(b"\x89PNG")
    assert run_table(study(), out=OUT, full=False, jobs=1) == result
    assert len(trained) == 2


def test_a_set_is_told_by_the_scale_and_left_out_in_full(trained):
    table = study("workers.seeds=[0]", "workers.recipe.trainer.epochs=1")
    facts = run_table(table, out=OUT, full=False, jobs=1).parts["workers"]
    assert facts.scale == "reduced: trainer.epochs 1 instead of 2, 1 of 3 repetitions"
    assert facts.details["epochs"] == 1
    full = run_table(table, out=OUT, full=True, jobs=1).parts["workers"]
    assert (full.scale, full.details["epochs"]) == ("reduced: 2 of 3 repetitions", 2)


def test_before_a_study_is_done_it_has_no_numbers():
    result = collect(study(), OUT)
    assert {cell.measured for cell in result.rows} == {None}
    assert result.parts["workers"].scale == "not run"


def test_a_network_that_came_to_nothing_is_named(trained):
    run_table(study(), out=OUT, full=False, jobs=1)
    content = json.loads(RESULT.read_text())
    content["fits"] = content["fits"][:1]
    content["config"]["activity"] = {"control": True, "leader_fraction": 0.3}
    content["activity"] = content["activity_control"] = [{"seed": 0}, {"seed": 1}]
    content["activity_control"] = [{"seed": 1}]
    RESULT.write_text(json.dumps(content))
    result = collect(study(), OUT)
    assert result.parts["workers"].failed == [
        "workers, seed 1: did not come to an end, the log says why",
        "activity, all leading, seed 0: did not come to an end, the log says why",
    ]
    assert result.parts["workers"].seeds == 0
    assert (result.complete, result.exit_code) == (False, 1)


def test_a_number_that_a_study_does_not_have_is_told_with_those_it_has(trained):
    table = study(methods={"output layer": "last_epoch.exit.{measure}.{column}"})
    with pytest.raises(
        ConfigError, match=r"no number at last_epoch.exit.*no exit; there are .*out"
    ):
        run_table(table, out=OUT, full=False, jobs=1)


def leaders_table(method="local"):
    content = {
        "name": "needed",
        "title": "Leaders that classes need",
        "parts": {
            "classes": {
                "study": {
                    "kind": "leader_complexity",
                    "changes": {"order": 2, "num_resamples": 20},
                    "fits": {"table": "tiny", "part": "planted", "method": method},
                    "methods": {"both": "spearman"},
                }
            }
        },
        "rows": [{"part": "classes", "method": "both", "measure": "rank_correlation"}],
    }
    write_table(yaml.safe_dump(content), "needed")
    return load_table("needed")


def test_leaders_that_classes_need_are_of_another_table_s_networks(monkeypatch):
    by_class = {"bp": [0.0, 0.0], "local 50%": [10.0, 30.0], "local 100%": [20.0, 20.0]}

    def fit(task, images):
        errors = by_class[task.method]
        return replace(made_up_fit(task, images), validation_error_percent_by_class=errors)

    done = in_this_process(monkeypatch, fit)
    tiny()
    run_table(leaders_table(), out=OUT, full=False, jobs=1)
    assert len(done) == 6  # trained for it, and kept where table tiny finds them
    path = OUT / "needed/classes/result.json"
    content = json.loads(path.read_text())
    classes = content["classes"]
    assert [row["fraction"] for row in classes] == [0.5, 1.0]
    assert [row["leaders"] for row in classes] == [1, 2]
    content["correlation"]["spearman"] = 0.25  # of two classes there is none
    path.write_text(json.dumps(content))
    result = collect(leaders_table(), OUT)
    assert result.rows[0].measured == 0.25
    smaller = SCALE.removeprefix("reduced: ")
    assert result.parts["classes"].scale == f"reduced: mnist in place of ImageNet, {smaller}"
    assert run_table(tiny(), out=OUT, full=False, jobs=1).complete
    assert len(done) == 6


@pytest.mark.parametrize(
    ("method", "swept"),
    [("bp", "leader_fraction"), ("gone", "leader_fraction"), ("local", "follower_weight")],
)
def test_networks_that_were_not_swept_over_leaders_are_refused(method, swept):
    tiny(text=TINY.replace("objective.leader_fraction", f"objective.{swept}"))
    with pytest.raises(ConfigError, match=rf"fits: tiny has no part planted that trains {method}"):
        run_table(leaders_table(method), out=OUT, full=False, jobs=1)
