from pathlib import Path

import pytest

from brainage.config.tables import experiment, load_table, load_tables, table_names
from brainage.errors import ConfigError

BASE = """
methods: {}
data: {name: mnist, validation_images: 8}
recipe:
  backbone: {name: mlp, hidden_sizes: [8], output_stage: true}
  blocks: {num_blocks: 2}
  heads: {num_lf_workers: 2}
  trainer: {epochs: 9}
seeds: [0, 1]
"""
TABLE = """
name: one
title: One table
setting: leaders
parts:
  swept:
    panel:
      base: base.yaml
      changes: {recipe: {trainer: {epochs: 6}}}
      methods: {local: {objective: {name: lfnn_l}}}
      controls: {bp: {objective: {name: bp}}}
      sweep: {key: objective.leader_fraction, values: [0.5, 1.0], label: "{:.0%}"}
      reduced: {recipe: {trainer: {epochs: 2}}}
  plain:
    panel: {base: base.yaml, methods: {bp: {objective: {name: bp}}}}
  projected: {plan: {config: plan/vit_b16.yaml, blocks: [2, 4]}}
rows:
  - {part: swept, method: local, measure: test_error_percent, published: [1.5, 2.5]}
  - {part: swept, method: bp, measure: test_error_percent}
"""
BORROWER = """
name: two
title: Another
parts: {theirs: {use: {table: one, part: swept}}}
rows: [{part: theirs, method: local, measure: train_error_percent, published: [3.5, 4.5]}]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("configs/tables").mkdir(parents=True)
    Path("base.yaml").write_text(BASE)
    write("two", BORROWER)


def write(name, text):
    Path("configs/tables", f"{name}.yaml").write_text(text)


def load(*overrides, text=TABLE, **replaced):
    """The table with changes of its text."""
    for before, after in replaced.values():
        assert before in text
        text = text.replace(before, after)
    write("one", text)
    return load_table("one", overrides)


def panel(table, part="swept", *, full=False):
    return table.parts[part].panel.panel(part, full=full)


def test_every_method_is_trained_at_every_value_and_a_control_once():
    config = panel(load())
    assert list(config.methods) == ["bp", "local 50%", "local 100%"]
    recipe = config.recipe_of("local 50%", "as given")
    assert (recipe.objective.name, recipe.objective.leader_fraction) == ("lfnn_l", 0.5)
    assert config.recipe_of("bp", "as given").objective.name == "bp"


def test_reductions_are_laid_on_the_changes_and_left_out_in_full():
    assert panel(load()).recipe.trainer.epochs == 2
    assert panel(load(), full=True).recipe.trainer.epochs == 6
    assert panel(load(), "plain").recipe.trainer.epochs == 9


def test_a_set_lands_in_what_its_part_reduces_and_nowhere_else():
    table = load("swept.recipe.trainer.epochs=3", "swept.seeds=[4]")
    assert table.parts["swept"].panel.reduced == {
        "recipe": {"trainer": {"epochs": 3}},
        "seeds": [4],
    }
    assert panel(table).recipe.trainer.epochs == 3
    assert panel(table).seeds == (4,)
    assert panel(table, full=True).recipe.trainer.epochs == 6
    assert panel(table, "plain").seeds == (0, 1)


def test_a_set_of_one_part_leaves_another_alone_that_shares_its_text():
    text = TABLE.replace("plain:\n    panel: {", "plain:\n    panel: &shared {")
    text = text.replace("  projected:", "  twin: {panel: *shared}\n  projected:")
    table = load("twin.seeds=[4]", text=text)
    assert (panel(table, "twin").seeds, panel(table, "plain").seeds) == ((4,), (0, 1))


def test_a_part_may_be_another_table_s():
    load()
    table = load_table("two")
    owner, part, borrowed = experiment(table, "theirs")
    assert (owner, part) == ("one", "swept")
    assert borrowed.columns("local") == ("50%", "100%")
    assert experiment(load(), "swept")[:2] == ("one", "swept")


def test_a_table_may_be_a_file_anywhere():
    Path("mine.yaml").write_text(TABLE)
    assert load_table("mine.yaml").name == "one"


PROJECTED = "projected: {plan: {config: plan/vit_b16.yaml, blocks: [2, 4]}}"
METHODS = """      methods: {local: {objective: {name: lfnn_l}}}
      controls: {bp: {objective: {name: bp}}}
"""
SPEED = "speed: {config: speed/vit.yaml, blocks: [2], methods: [bp]}"
WRONG = [
    ("title: One table\n", "", r"title: needed, but not given"),
    ("setting: leaders", "color: red", "color: unknown key"),
    ("name: one", "name: ../one", r"name: expected names of letters"),
    ("plain:", "a/b:", r"name: expected names of letters.*a/b"),
    ("measure: test_error_percent}", "measure: happiness}", r"rows.1.measure: expected"),
    ("part: swept, method: bp", "part: gone, method: bp", r"rows.1.part: expected one of .*plain"),
    ("method: bp, measure", "method: adam, measure", "rows.1.method: swept has no method adam"),
    (
        "method: bp, measure: test_error_percent",
        "method: bp, measure: speedup",
        "rows.1.measure: swept has test_error_percent, .*epoch_minutes, got speedup",
    ),
    ("[1.5, 2.5]", "[1.5]", "rows.0.published: expected 2 values.* got 1"),
    ("[1.5, 2.5]", "[1.5, two]", "rows.0.published.1: expected a number"),
    ("[1.5, 2.5]}", "[1.5, 2.5], published_sd: [1]}", "rows.0.published_sd: expected 2 values"),
    ("[0.5, 1.0]", "[0.5, 0.5]", "parts.swept.panel.*values: expected different numbers"),
    ("[0.5, 1.0]", "[0.5, 0.501]", "parts.swept.panel.*label: expected a format that tells"),
    ("[0.5, 1.0]", "[0.5, 2.0]", r"parts.swept: .*objective.leader_fraction: expected"),
    ('"{:.0%}"', '"{:.0%"', "parts.swept.panel.*label: expected a format"),
    ("key: objective.leader_fraction", "key: objective.delta", "parts.swept: .*objective.delta"),
    ("{name: lfnn_l}", "{name: lfnm}", r"parts.swept: methods.local 50%: objective.name"),
    ("base: base.yaml\n", "base: gone.yaml\n", "parts.swept: no configuration gone.yaml"),
    ("changes: {recipe", "changes: {receipt", "parts.swept: .*receipt: unknown key"),
    ("changes: {recipe", "changes: {name: x, recipe", "changes: expected keys of a panel"),
    ("reduced: {recipe", "reduced: {receipt", "parts.swept: .*receipt: unknown key"),
    (METHODS, "", "parts.swept.panel.*methods: expected at least one, or a control"),
    ("{plan: {", f"{{{SPEED}, plan: {{", r"parts.projected.*kind: expected exactly one of panel"),
    ("plan/vit_b16.yaml", "plan/gone.yaml", "parts.projected: no configuration plan/gone.yaml"),
    (
        PROJECTED,
        "lent: {use: {table: one, part: lent}}",
        "parts.lent.use: one has no part lent of its own; it has swept, plain",
    ),
    (
        PROJECTED,
        "lent: {use: {table: s99, part: a}}",
        "parts.lent.use.table: no table s99: there are one, two, s1, ",
    ),
]


@pytest.mark.parametrize(("before", "after", "message"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_wrong_is_told_in_one_line_with_its_file_and_key(before, after, message):
    with pytest.raises(ConfigError, match=message) as told:
        load(change=(before, after))
    assert str(told.value).startswith("configs/tables/one.yaml: ")
    assert len(str(told.value).splitlines()) == 1


def test_a_row_or_a_figure_there_has_to_be():
    bare = TABLE.partition("rows:")[0]
    with pytest.raises(ConfigError, match="rows: expected at least one, or a figure"):
        load(text=bare)
    assert load(text=f"{bare}figure: convergence\n").rows == ()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gone.seeds=[1]", r"--set gone.seeds=\[1\]: expected PART.KEY=VALUE.*\(swept, plain\)"),
        ("projected.blocks=[2]", "--set projected.blocks.*expected PART.KEY=VALUE"),
        ("swept=3", "--set swept=3: expected PART.KEY=VALUE"),
        ("swept", "--set swept: expected key=value"),
        ("swept.recipe.trainer.epoch=3", "recipe.trainer.epoch: unknown key"),
        ("swept.methods.x={}", "reduced: expected keys of a panel other than methods"),
    ],
)
def test_a_set_that_does_nothing_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        load(override)


@pytest.mark.parametrize("parts", ["[]", "null", "{swept: null}", "{swept: {panel: 3}}", "3"])
def test_parts_of_another_shape_are_told_with_and_without_a_set(parts):
    text = f"name: one\ntitle: x\nparts: {parts}\nfigure: convergence\n"
    with pytest.raises(ConfigError, match=r"configs/tables/one\.yaml: parts"):
        load(text=text)
    with pytest.raises(ConfigError, match="none here"):
        load("swept.seeds=[1]", text=text)


def test_names_come_in_the_paper_s_order_and_all_stands_for_every_one():
    load()
    names = table_names()
    assert names[:2] == ["one", "two"]
    assert names.index("s2") < names.index("s10") < names.index("fig_s1")
    assert [table.name for table in load_tables(["two", "one", "two"])] == ["two", "one"]
    assert [table.name for table in load_tables(["all"])] == names


def test_unknown_tables_and_changes_of_several_are_refused():
    load()
    with pytest.raises(ConfigError, match="no table s99: there are one, two, s1, s2"):
        load_tables(["s99"])
    with pytest.raises(
        ConfigError, match=r"--set swept\.seeds=1: changes one table, but 2 are named"
    ):
        load_tables(["one", "two"], ["swept.seeds=1"])
