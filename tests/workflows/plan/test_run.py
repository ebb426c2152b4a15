import json
import re
from pathlib import Path

import pytest
import typer.main

from brainage.cli import app, run
from brainage.config.plan import load_planned
from brainage.core.placement import ParallelConfig, settle_placement
from brainage.errors import ConfigError
from brainage.workflows.plan.case import PlanRequest
from brainage.workflows.plan.run import make_plan

SMALL = [
    "input_shape=[1,16,16,16]",
    "backbone.channels=[2,4,4]",
    "blocks.num_blocks=3",
    "batch_size=2",
    "keep_freed_memory=false",
]
LINK = {"gigabytes_per_second": 10.0, "seconds": 0.0}
WORDS = [word for override in SMALL for word in ("--set", override)]
COMMAND = ["plan", "-c", "speed/single.yaml", *WORDS, "--gigabytes-per-second", "10"]


def small(*overrides):
    return load_planned("speed/single.yaml", [*SMALL, *overrides])


def numbers(request, *overrides):
    return make_plan(small(*overrides), request).to_json()


def test_a_plan_sets_what_a_run_can_use():
    summary = make_plan(small(), PlanRequest(devices=2, **LINK))
    (plan,) = summary.to_json()["plans"]
    settings = {key.partition(".")[2]: value for key, value in plan["settings"].items()}
    parallel = ParallelConfig(
        blocks_per_place=tuple(settings["blocks_per_place"]), replicas=tuple(settings["replicas"])
    )
    placement = settle_placement(parallel, settings["num_blocks"], plan["devices"])
    assert placement.world_size == plan["devices"] <= 2
    text = "\n".join(summary.describe())
    assert f"--set blocks.num_blocks={settings['num_blocks']} --set 'blocks.cuts=[" in text
    assert f"blocks: {{num_blocks: {settings['num_blocks']}, cuts: [" in text


def test_measured_and_projected_are_told_apart():
    content = numbers(PlanRequest(devices=2, simulate=(3,), **LINK))
    assert {stage["kind"] for stage in content["stages"]} == {"measured"}
    assert content["whole_steps"]["kind"] == "measured"
    assert content["transfer"]["kind"] == "given"
    for plan in (*content["plans"], *content["simulated"]):
        assert plan["kind"] == "projected"
        assert {row["kind"] for row in plan["rows"]} == {"projected"}
    assert [plan["devices_asked"] for plan in content["simulated"]] == [3]


# It compares times, which other work on the machine disturbs.
@pytest.mark.slow
def test_the_sum_of_the_stages_is_near_the_whole_step():
    whole = numbers(PlanRequest(devices=1, **LINK), "input_shape=[1,32,32,32]")["whole_steps"]
    assert 0.4 < whole["bp_added"] / whole["bp"] < 2.5
    assert 0.4 < whole["rule_added"] / whole["rule"] < 2.5


def test_numbers_of_blocks_are_planned_side_by_side_with_what_was_published():
    planned = small("published=[{blocks: 3, speedup: 2.5}]", "published_source=a paper")
    summary = make_plan(planned, PlanRequest(blocks=(2, 3), **LINK))
    plans = summary.to_json()["plans"]
    assert [plan["settings"]["blocks.num_blocks"] for plan in plans] == [2, 3]
    assert [plan["published_speedup"] for plan in plans] == [None, 2.5]
    assert all(set(plan["settings"]["parallel.replicas"]) == {1} for plan in plans)
    text = "\n".join(summary.describe())
    assert "projected speedup over bp on one device, same batch" in text
    assert "published: a paper" in text


def test_configured_blocks_and_cuts_stay_when_asked():
    request = PlanRequest(devices=2, keep_blocks=True, **LINK)
    (plan,) = numbers(request, "blocks.cuts=[1,2]")["plans"]
    assert plan["settings"]["blocks.cuts"] == [1, 2]
    assert sum(plan["settings"]["parallel.blocks_per_place"]) == 3


def test_a_run_s_configuration_brings_its_grid_and_batch():
    planned = load_planned("lfnn3d.yaml", ["trainer.batch_size=3"])
    assert (planned.input_shape, planned.batch_size) == ((1, 40, 48, 40), 3)
    based = load_planned("cohort/lfnn3d.yaml")
    assert based.input_shape[0] == 1


def test_the_paper_s_network_has_the_paper_s_speedups():
    planned = load_planned("plan/vit_b16.yaml")
    assert [planned.published_speedup(k) for k in (4, 8, 12, 16)] == [2.31, 4.62, 7.04, 10.52]
    assert planned.backbone.num_stages >= 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "7"], "--devices: expected at most 6 (3 stages, each on one device for"),
        (["--devices", "2", "--simulate", "4,8"], "--devices: expected at most 6"),
        (["--blocks", "4"], "--blocks: expected at most 3, the stages of cnn3d, got 4"),
        (["--blocks", "2", "--devices", "5"], "--devices: expected at most 4 (2 blocks"),
        (["--blocks", "two"], "--blocks: expected whole numbers like 4,8, got 'two'"),
        ([], "--devices: expected a number of devices"),
        (["--devices", "0"], "Invalid value for '--devices'"),
        (["--devices", "2", "--for", "fun"], "Invalid value for '--for'"),
        (["--devices", "2", "--set", "objective.name=bp"], "objective.name: expected a rule whose"),
        (["--devices", "2", "--set", "device=cuda:7"], "error: device: cuda:7 does not exist here"),
        (["--devices", "2", "--set", "input_shape=[1,2,2,2]"], "block 1 cannot take an input"),
    ],
)
def test_what_cannot_be_planned_is_one_line(arguments, message, capsys):
    assert run([*COMMAND, *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert sum(line.startswith("error:") for line in lines) == 1


def test_the_command_prints_one_object(capsys):
    assert run([*COMMAND, "--devices", "2", "--for", "memory", "--json"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert plan["goal"] == "memory"
    assert plan["bound"] == max(
        row["peak_memory_bytes"] for row in plan["rows"] if row["engine"] == "blocks"
    )


def test_a_rule_that_is_not_isolated_is_refused_before_anything_is_measured():
    with pytest.raises(ConfigError, match="lfnn_l plans for LFNN-l"):
        make_plan(load_planned("bp3d.yaml"), PlanRequest(devices=2))


@pytest.mark.slow
@pytest.mark.distributed
def test_processes_on_this_machine_get_figures_of_their_own():
    content = numbers(PlanRequest(devices=2, seconds=0.0))
    transfer = content["transfer"]
    assert (transfer["kind"], transfer["source"][:14]) == ("measured", "gloo, measured")
    assert 0 < transfer["latency_seconds"] < 0.1
    assert 0 < transfer["seconds_per_byte"] < 1e-6
    assert content["machine"]["slowdown"] >= 1
    (plan,) = content["plans"]
    assert len(plan["rows_on_this_machine"]) == len(plan["rows"])


def test_the_page_names_the_options_of_the_command():
    page = (Path(__file__).parents[3] / "docs/planning.md").read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands["plan"]
    known = {option for parameter in command.params for option in parameter.opts}
    table = page.partition("| option | what |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(--[a-z-]+)", table, flags=re.MULTILINE))
    assert {option for option in known if option.startswith("--")} - named == {"--verbose"}
    assert named <= known
