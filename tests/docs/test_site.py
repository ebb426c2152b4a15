"""The scripts that make the site's pages and check them."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "docs/site"


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the site as MkDocs does: by its name, without a package."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if Path(file).parent == SCRIPTS:
            del sys.modules[name]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="//example.org/x.css">',
        '<link href="https://example.org" rel="preconnect" crossorigin>',
        '<img src="http://example.org/x.png">',
        '<img srcset="https://example.org/x.png 2x">',
        "<style>@import 'https://example.org/x.css';</style>",
        '<p style="background: url(https://example.org/x.png)">',
        '<iframe src="https://example.org"></iframe>',
    ],
)
def test_what_a_browser_would_fetch_is_found(html, script):
    assert len(script("checks").fetched_by_page(html)) == 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.org">read</a>',
        '<img src="images/x.png">',
        '<link rel="canonical" href="https://example.org/page">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        '<script src="../assets/x.js"></script>',
        "<style>p{background:url('data:image/svg+xml,x')}</style>",
    ],
)
def test_what_it_would_not_fetch_is_let_be(html, script):
    assert script("checks").fetched_by_page(html) == []


def test_a_site_s_styles_are_looked_at_too(tmp_path, script):
    (tmp_path / "x.css").write_text("a{background:url(https://example.org/x.png)}")
    (tmp_path / "index.html").write_text("<p>nothing</p>")
    (found,) = script("checks").fetched_from_elsewhere(tmp_path)
    assert found.startswith("x.css fetches")


def test_links_of_included_files_start_from_their_page(script):
    text = "[a](docs/method.md#x) [b](brainage/cli.py) [c](https://example.org) [d](CHANGELOG.md)"
    shown = script("included").for_the_site(text, "CONTRIBUTING.md", "cards/page.md")
    assert shown == "[a](../method.md#x) b [c](https://example.org) [d](../changelog.md)"


def test_optional_pages_stay_away_until_they_exist(script):
    nav = ["index.md", {"More": [{"Soon": "soon.md?"}, "kept.md?"]}, {"None": ["gone.md?"]}]
    shown = script("navigation").with_pages_that_exist(nav, {"index.md", "kept.md"})
    assert shown == ["index.md", {"More": ["kept.md"]}]


def test_names_of_the_core_lead_to_their_reference(script):
    pages = {"reference/core/leaders.md"}
    text = "`brainage.core.leaders`, `brainage.core.leaders.Leadership`, `brainage.core.engine._x`"
    shown = script("method_links").linked_names(text, pages)
    assert shown.split(", ") == [
        "[`core.leaders`](reference/core/leaders.md)",
        "[`core.leaders.Leadership`][brainage.core.leaders.Leadership]",
        "`brainage.core.engine._x`",
    ]


def test_long_names_in_cells_break_at_their_joints(script):
    name = "tests/core/test_leaders.py::test_ties"
    shown = script("line_breaks").with_line_breaks(
        f"<td><code>{name}</code></td><code>{name}</code>"
    )
    assert shown.count("<wbr>") == 6
    assert shown.replace("<wbr>", "") == f"<td><code>{name}</code></td><code>{name}</code>"
    assert shown.endswith(f"</td><code>{name}</code>")


def test_files_are_shown_where_they_are(tmp_path, script):
    (tmp_path / "job.sh").write_text("#!/bin/bash\ntrue\n")
    page = "a\n<!-- show: job.sh -->\nb\n<!-- show: none.sh -->\nc"
    shown = script("included").with_shown_files(page, tmp_path)
    assert shown == "a\n`job.sh`:\n\n```sh\n#!/bin/bash\ntrue\n```\nb\n\nc"


def test_the_command_line_is_told_whole(script):
    page = script("command_line").command_line_page()
    assert "## brainage predict" in page
    assert "brainage manifest check" in page
    assert "| `--set KEY=VALUE` |" in page


def test_every_setting_is_told_with_its_docstring(script):
    pages = script("settings").settings_pages()
    run = pages["reference/settings.md"]
    row = "| `leader_fraction` | number | `1.0` | "
    assert row in run
    told = [line for page in pages.values() for line in page.splitlines() if line.startswith("| `")]
    assert len(told) > 150
    assert [line for line in told if line.endswith("|  |")] == []


def test_every_section_of_settings_has_a_place_of_its_own(script):
    for page in script("settings").settings_pages().values():
        places = [line.partition("{#")[2] for line in page.splitlines() if "{#" in line]
        assert len(set(places)) == len(places) > 10


COMMANDS = """
- section: Speed
  files:
    a_cpu.json: {command: python -m a, note: One thread.}
    tables/*.json: {command: brainage tables run all}
"""


def test_result_files_have_their_command_and_the_log_that_tells_of_them(tmp_path, script):
    folder = tmp_path / "docs/results"
    (folder / "tables").mkdir(parents=True)
    for name in ("a_cpu.json", "tables/s1.json", "tables/s2.json"):
        (folder / name).write_text("{}")
    (folder / "commands.yaml").write_text(COMMANDS)
    (tmp_path / "docs/log.md").write_text("# Log\n\n## 2026-01-01: `a`\n\n`a_cpu.json`\n")
    page = script("result_files").results_page(tmp_path)
    assert "**[a_cpu.json](results/a_cpu.json)**\n\n```sh\npython -m a\n```" in page
    assert "One thread. Log: [2026-01-01: a](log.md#2026-01-01-a)." in page
    assert "**[tables/s1.json](results/tables/s1.json)**, **[tables/s2.json]" in page

    (folder / "b_cpu.json").write_text("{}")
    with pytest.raises(ValueError, match=r"wrong are b_cpu\.json"):
        script("result_files").results_page(tmp_path)
    for name in ("b_cpu.json", "a_cpu.json"):
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"wrong are a_cpu\.json"):
        script("result_files").results_page(tmp_path)
