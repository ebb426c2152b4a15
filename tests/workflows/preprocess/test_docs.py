"""What docs/preprocessing.md says about the command and its limits is so."""

import re
from pathlib import Path

import typer.main

from brainage.cli import app
from brainage.preprocess.quality import FIGURES
from brainage.preprocess.quality_limits import load_quality_limits

DOCS = Path(__file__).parents[3] / "docs" / "preprocessing.md"
TEXT = DOCS.read_text(encoding="utf-8")


def test_the_command_has_every_option_that_is_named():
    command = typer.main.get_command(app).commands["preprocess"]
    known = {option for parameter in command.params for option in parameter.opts}
    table = TEXT.partition("| option | what |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(--[a-z-]+)", table))
    assert len(named) > 5
    assert named - known == set()
    assert {option for option in known if option.startswith("--")} - named == {"--verbose"}


def test_limits_are_those_of_the_package():
    limits = load_quality_limits().limits
    for figure in FIGURES:
        (row,) = re.findall(rf"^\| `{figure.name}` \|.*\| (.*) \|$", TEXT, flags=re.MULTILINE)
        stated = {side: float(value) for side, value in re.findall(r"(below|above) ([\d.]+)", row)}
        limit = limits.get(figure.name)
        expected = {} if limit is None else {"below": limit.low, "above": limit.high}
        expected = {side: value for side, value in expected.items() if value is not None}
        assert stated.keys() == expected.keys()
        assert all(abs(stated[side] / value - 1) < 0.005 for side, value in expected.items())


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (DOCS.parent / link).exists()] == []
