import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.config.tables import load_table
from brainage.errors import BrainageError, ConfigError, RunFolderError
from brainage.reporting.formatting import NOTHING
from brainage.workflows.tables.collect import collect
from brainage.workflows.tables.result import TableResult
from brainage.workflows.tables.run import run_tables
from tests.workflows.tables.conftest import FITS, SCALE, TINY, tiny, write_table
from tests.workflows.tables.whole import run_table

OUT = Path("out")
ROWS = OUT / "tiny/planted/rows.jsonl"
WILD = TINY.replace(
    "controls: {", "controls: {wild: {optimizer: {name: sgd, learning_rate: 1.0e+30}}, "
)


def run(*overrides: str, text: str = TINY, full: bool = False) -> TableResult:
    return run_table(tiny(*overrides, text=text), out=OUT, full=full, jobs=1)


def fits() -> list[dict]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()]


def test_every_cell_is_the_mean_and_deviation_of_its_fits(trained):
    result = run()
    assert trained == FITS
    assert [cell.setting for cell in result.rows] == ["50%", "100%", "", ""]
    names = ["local 50%", "local 100%", "bp", "bp"]
    for name, cell in zip(names, result.rows, strict=True):
        errors = [fit[cell.measure] for fit in fits() if fit["method"] == name]
        assert cell.measured == pytest.approx(statistics.mean(errors), abs=1e-4)
        assert cell.sd == pytest.approx(statistics.stdev(errors), abs=1e-4)
        assert (cell.seeds, cell.failed, cell.scale) == (2, 0, SCALE)
    assert len({cell.measured for cell in result.rows}) > 1
    assert [cell.published for cell in result.rows] == [11.25, 12.25, 13.25, None]


def test_known_errors_give_known_cells(made_up):
    rows = "".join(
        f"  - {{part: planted, method: bp, measure: {measure}}}\n"
        for measure in ("test_accuracy_percent", "epoch_minutes")
    )
    result = run(text=TINY + rows)
    assert [cell.measured for cell in result.rows] == [20.5, 30.5, 10.5, 5.25, 89.5, 1.5083]
    assert [cell.sd for cell in result.rows] == [0.7071, 0.7071, 0.7071, 0.3536, 0.7071, 0.0118]
    assert [cell.published for cell in result.rows[:4]] == [11.25, 12.25, 13.25, None]
    assert result.parts["planted"].device == "a machine"


def test_what_a_part_was_run_with_is_kept(made_up):
    facts = run().parts["planted"]
    assert (facts.scale, facts.complete, facts.seeds, facts.failed) == (SCALE, True, 2, [])
    assert facts.details["fits"] == "6 of 6"
    assert (facts.details["data"], facts.details["epochs"]) == ("mnist", 1)


def test_a_second_run_trains_nothing_and_gives_the_same(made_up):
    first = run()
    made_up.clear()
    assert run() == first
    assert made_up == []


def test_a_killed_run_goes_on_where_it_was(made_up):
    first = run()
    lines = ROWS.read_text().splitlines(keepends=True)
    ROWS.write_text("".join(lines[:4]) + lines[4][:30])
    made_up.clear()
    second = run()
    assert made_up == FITS[4:]
    assert second.rows == first.rows


def test_a_run_that_is_interrupted_says_nothing_of_a_folder_and_keeps_its_fits(
    made_up, monkeypatch
):
    from brainage.workflows.images import run as panel

    in_turn = panel.in_processes

    def interrupted(*arguments):
        for number, done in enumerate(in_turn(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield done

    monkeypatch.setattr(panel, "in_processes", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        run_tables([tiny()], out=OUT, full=False, jobs=1)
    assert stopped.value.args == ()
    assert [fit["seed"] for fit in fits()] == [0, 0]


def test_a_part_that_is_half_done_is_shown_as_such(made_up):
    run()
    lines = ROWS.read_text().splitlines(keepends=True)
    ROWS.write_text("".join(lines[:2]))  # bp and local 50%, seed 0
    result = collect(tiny(), OUT)
    assert not result.complete
    assert [cell.seeds for cell in result.rows] == [1, 0, 1, 1]
    assert (result.rows[0].sd, result.rows[1].measured) == (None, None)
    told = "\n".join(result.describe())
    assert "not complete" in told


def test_collecting_leaves_the_rows_of_a_running_panel_alone(made_up):
    run()
    half_written = ROWS.read_text() + '{"method": "bp"'
    ROWS.write_text(half_written)
    collect(tiny(), OUT)
    assert ROWS.read_text() == half_written


def test_a_finished_fit_counts_whatever_came_after_it(made_up):
    first = run()
    died = {**fits()[0], "test_error_percent": None, "reason": "of a search", "died": True}
    other = {**fits()[1], "fingerprint": "of other images", "test_error_percent": 1.0}
    with ROWS.open("a") as stream:
        stream.write(json.dumps(died) + "\n" + json.dumps(other) + "\n")
    assert collect(tiny(), OUT) == first


def test_failed_fits_are_no_seeds_of_a_part(made_up):
    run()
    failed = [
        {**fit, "test_error_percent": None, "reason": "came to nothing"}
        if fit["method"] == "bp" and fit["seed"] == 1
        else fit
        for fit in fits()
    ]
    ROWS.write_text("".join(json.dumps(fit) + "\n" for fit in failed))
    facts = collect(tiny(), OUT).parts["planted"]
    assert (facts.seeds, facts.complete) == (1, True)
    assert facts.failed == ["bp, seed 1: came to nothing"]


def test_what_decides_no_fit_may_change(made_up):
    first = run()
    made_up.clear()
    second = run("planted.published_epochs=3", "planted.num_threads=2")
    assert made_up == []
    assert [cell.measured for cell in second.rows] == [cell.measured for cell in first.rows]
    assert second.parts["planted"].scale == "reduced: 1 of 3 epochs, 2 of 3 repetitions"


def test_what_a_full_disk_left_of_a_beginning_is_no_hindrance(made_up):
    ROWS.parent.mkdir(parents=True)
    (ROWS.parent / ".lock").touch()
    assert run().complete


def test_fits_of_images_that_lay_there_before_do_not_count(made_up):
    run()
    other = [{**fit, "fingerprint": "of other images"} for fit in fits()[:2]]
    kept = ROWS.read_text().splitlines()[2:]
    ROWS.write_text("\n".join([*map(json.dumps, other), *kept]) + "\n")
    result = collect(tiny(), OUT)
    assert not result.complete
    assert [cell.seeds for cell in result.rows] == [1, 2, 1, 1]


def test_nothing_is_measured_before_the_first_run():
    result = collect(tiny(), OUT)
    assert [cell.measured for cell in result.rows] == [None] * 4
    assert result.parts["planted"].scale == "not run"
    measured = [line for line in result.describe() if "measured" in line]
    assert [line.split()[-1] for line in measured] == [NOTHING] * 3
    assert "11.25" not in "".join(measured)


@pytest.mark.parametrize(
    ("overrides", "full"), [(["planted.seeds=[7]"], False), ([], True)], ids=["set", "full"]
)
def test_other_settings_do_not_go_on_in_the_folder(overrides, full, made_up):
    run()
    made_up.clear()
    with pytest.raises(ConfigError, match=r"tiny.planted: was begun with other settings"):
        run(*overrides, full=full)
    assert made_up == []


def test_a_folder_of_something_else_is_left_alone(made_up):
    ROWS.parent.mkdir(parents=True)
    (ROWS.parent / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is not a folder of this experiment"):
        run()
    assert [path.name for path in ROWS.parent.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("overrides", "full", "scale"),
    [
        ([], True, "reduced: 2 of 3 repetitions"),
        (["planted.seeds=[0,1,2]", "planted.recipe.trainer.epochs=2"], False, "full"),
        (
            ["planted.seeds=[0]", "planted.data.train_images=24"],
            False,
            "reduced: 24 training and 20 test images, all, 1 of 2 epochs, 1 of 3 repetitions",
        ),
        (
            ["planted.recipe.backbone.hidden_sizes=[4]", "planted.recipe.trainer.validate_every=2"],
            False,
            "reduced: 1 of 2 epochs, backbone.hidden_sizes [4] instead of [8], 2 of 3 repetitions",
        ),
    ],
)
def test_the_scale_says_what_is_smaller_than_published(overrides, full, scale, made_up):
    assert run(*overrides, full=full).parts["planted"].scale == scale


def test_fewer_epochs_are_told_where_the_published_number_is_not_known(made_up):
    result = run(text=TINY.replace("published_epochs: 2", "published_epochs: null"))
    expected = "reduced: trainer.epochs 1 instead of 2, 2 of 3 repetitions"
    assert result.parts["planted"].scale == expected


def test_a_fit_without_a_result_is_named_and_the_exit_code_is_1(trained):
    table = tiny("planted.seeds=[0]", text=WILD)
    result = run_tables([table], out=OUT, full=False, jobs=1)
    assert result.exit_code == 1
    told = "\n".join(result.describe())
    assert "failed: wild, seed 0: epoch 1:" in told
    assert all(cell.measured is not None for cell in result.results[0].rows)


def test_a_cell_whose_fits_failed_has_no_number(made_up):
    rows = "  - {part: planted, method: wild, measure: test_error_percent, published: [9.75]}\n"
    result = run(text=WILD + rows)
    cell = result.rows[-1]
    assert (cell.measured, cell.sd, cell.failed) == (None, None, 2)
    assert any("wild" in line and line.endswith(" failed") for line in result.describe())
    assert run(text=WILD + rows).exit_code == 1  # and it stays that way


def test_a_part_that_cannot_be_run_is_named():
    missing = TINY.replace("changes: {", "changes: {data: {name: cifar10, root: nowhere}, ")
    with pytest.raises(BrainageError, match=r"^tiny, part planted: .*nowhere"):
        run(text=missing)


def test_a_part_that_cannot_be_run_costs_neither_the_others_nor_other_tables(made_up):
    missing = "changes: {data: {name: cifar10, root: nowhere}}"
    other = f"  gone: {{panel: {{base: base.yaml, {missing}, methods: {{bp: {{}}}}}}}}\nrows:"
    table = tiny(text=TINY.replace("rows:", other))
    nothing = replace(table, name="nothing", parts={"gone": table.parts["gone"]}, rows=())
    summary = run_tables([nothing, table], out=OUT, full=False, jobs=1)
    assert [result.table for result in summary.results] == ["tiny"]
    assert all(cell.measured is not None for cell in summary.results[0].rows)
    assert summary.exit_code == 1
    told = [line for line in summary.describe() if line.startswith("not done: ")]
    assert [line.split(": ")[1] for line in told] == ["nothing, part gone", "tiny, part gone"]
    assert summary.to_json()["problems"] == [line.removeprefix("not done: ") for line in told]
    with pytest.raises(BrainageError, match=r"^nothing, part gone: .*nowhere"):
        run_tables([nothing], out=OUT, full=False, jobs=1)


BORROWER = """
name: borrower
title: The same fits once more
figure: leadership
parts: {theirs: {use: {table: tiny, part: planted}}}
rows:
  - {part: theirs, method: local, measure: test_accuracy_percent, published: [88.75, 87.75]}
"""


def test_fits_that_another_table_needs_too_are_trained_once(made_up):
    lender = run()
    write_table(BORROWER, "borrower")
    made_up.clear()
    borrower = run_table(load_table("borrower"), out=OUT, full=False, jobs=1)
    assert made_up == []
    assert not (OUT / "borrower").exists()
    errors = [cell.measured for cell in lender.rows[:2]]
    assert [cell.measured for cell in borrower.rows] == [100 - error for error in errors]


def test_one_part_can_be_chosen(made_up):
    twice = TINY.replace("rows:", "  other: {panel: {base: base.yaml, methods: {bp: {}}}}\nrows:")
    table = tiny(text=twice)
    run_table(table, out=OUT, full=False, jobs=1, only=["other"])
    assert made_up == ["bp, seed 0", "bp, seed 1"]
    with pytest.raises(ConfigError, match="tiny has no part more; it has planted, other"):
        run_table(table, out=OUT, full=False, jobs=1, only=["more"])
    with pytest.raises(ConfigError, match="--part: chooses among the parts of one table"):
        run_tables([table, table], out=OUT, full=False, jobs=1, only=["other"])


def test_a_result_folder_that_cannot_be_made_is_told():
    OUT.write_text("a file")
    with pytest.raises(BrainageError, match="out: cannot create it"):
        run_tables([tiny()], out=OUT, full=False, jobs=1)


def test_curves_are_the_validation_accuracy_along_training(made_up):
    text = TINY.replace("figure: leadership", "figure: convergence")
    text = text.replace("{epochs: 1}", "{epochs: 2, validate_every: 1}")
    result = run(text=text)
    assert [curve.method for curve in result.curves] == ["local 50%", "local 100%", "bp"]
    curve = result.curves[-1]
    assert (curve.part, curve.epochs) == ("planted", [1, 2])
    assert curve.values == [79.5, 89.5]


@pytest.mark.slow
def test_fits_run_in_processes_of_their_own():
    result = run_table(tiny("planted.seeds=[0]"), out=OUT, full=False, jobs=2)
    assert [cell.seeds for cell in result.rows] == [1, 1, 1, 1]
