"""What the README shows has to work."""

import re
from pathlib import Path
from typing import Any

import pytest

from brainage.config.images import load_images_config
from brainage.config.load import load_config
from brainage.config.plan import load_planned
from brainage.config.speed import load_speed_config
from brainage.config.tables import load_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGS = sorted(path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml"))
SPEED_CONFIGS = [path for path in CONFIGS if path.parts[0] == "speed"]
PLAN_CONFIGS = [path for path in CONFIGS if path.parts[0] == "plan"]
COMPARISONS = [path for path in CONFIGS if path.stem.partition("_")[0] == "compare"]
IMAGE_CONFIGS = [path for path in CONFIGS if path.parts[0] == "images"]
TABLE_CONFIGS = [path for path in CONFIGS if path.parts[0] == "tables"]
OTHER_CONFIGS = {"images", "plan", "preprocess", "speed", "tables"}
RUN_CONFIGS = [
    path for path in CONFIGS if path.parts[0] not in OTHER_CONFIGS and path not in COMPARISONS
]

EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def run_example(number: int) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(EXAMPLES[number], "README.md", "exec"), names)
    return names


def test_the_library_example_runs_and_learns() -> None:
    names = run_example(0)
    assert float((names["predicted_ages"] - names["ages"]).abs().mean()) < 2


def test_the_example_of_single_pieces_gives_workers_their_gradients() -> None:
    names = run_example(1)
    assert names["leaders"].sum(1).tolist() == [10] * 8
    assert (names["worker_outputs"].grad != 0).any(dim=(0, 2)).all()


def test_the_example_of_a_loaded_model_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names = run_example(2)
    assert [row.status for row in names["rows"]] == ["ok"]
    assert names["table"]["predicted_age"][0] == names["rows"][0].predicted_age


def test_every_named_path_exists() -> None:
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", README)]
    assert [path for path, _, _ in links if not (ROOT / path).exists()] == []
    places = [(ROOT / path, f'<a id="{place}"></a>') for path, _, place in links if place]
    assert [place for path, place in places if place not in path.read_text("utf-8")] == []


@pytest.mark.parametrize("path", RUN_CONFIGS, ids=str)
def test_every_configuration_loads_and_says_its_command(path: Path) -> None:
    text = (ROOT / "configs" / path).read_text(encoding="utf-8")
    assert f"command:  brainage train --config {path.as_posix()}" in text
    config = load_config(ROOT / "configs" / path)
    assert config.name == "-".join(path.with_suffix("").parts)


@pytest.mark.parametrize("path", SPEED_CONFIGS, ids=str)
def test_every_comparison_of_speed_loads_and_says_its_command(path: Path) -> None:
    text = (ROOT / "configs" / path).read_text(encoding="utf-8")
    assert f"command:  brainage benchmark speed --config {path.as_posix()}" in text
    config = load_speed_config(ROOT / "configs" / path)
    assert config.name == "-".join(path.with_suffix("").parts)


@pytest.mark.parametrize("path", IMAGE_CONFIGS, ids=str)
def test_every_panel_of_methods_loads_and_says_its_command(path: Path) -> None:
    text = (ROOT / "configs" / path).read_text(encoding="utf-8")
    assert f"command:  brainage benchmark images --config {path.as_posix()}" in text
    name = path.stem.replace("_", "-")
    assert load_images_config(ROOT / "configs" / path).name == name


@pytest.mark.parametrize("path", TABLE_CONFIGS, ids=str)
def test_every_table_of_the_paper_loads_and_says_its_command(path: Path) -> None:
    text = (ROOT / "configs" / path).read_text(encoding="utf-8")
    assert f"command:  brainage tables run {path.stem}" in text
    assert load_table(path.stem).name == path.stem


@pytest.mark.parametrize("path", PLAN_CONFIGS, ids=str)
def test_every_configuration_to_plan_for_loads_and_says_its_command(path: Path) -> None:
    text = (ROOT / "configs" / path).read_text(encoding="utf-8")
    assert f"command:  brainage plan --config {path.as_posix()}" in text
    assert load_planned(ROOT / "configs" / path).name == "-".join(path.with_suffix("").parts)


def test_bp_differs_from_lfnn_l_by_the_rule_alone() -> None:
    for folder in ("", "cohort/"):
        lfnn, bp = (load_config(ROOT / "configs" / f"{folder}{n}3d.yaml") for n in ("lfnn", "bp"))
        differing = [field for field in vars(lfnn) if getattr(lfnn, field) != getattr(bp, field)]
        assert differing == ["name", "objective"]
