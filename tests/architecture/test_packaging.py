"""What builds, installs and ships the project fits the files that are there."""

import fnmatch
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines(name: str) -> list[str]:
    """The lines of a file without comments and blanks."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


PINS = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines("constraints.txt"))}  # fmt: skip  # noqa: E501
REQUIREMENTS = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_to_a_version_it_allows(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_no_pin_is_tied_to_one_build():
    assert [pin for pin in PINS.items() if "+" in pin[1]] == []


def copied_by_docker() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    copies = re.findall(r"^(?:COPY|ADD)\s+(.+)$", text, flags=re.MULTILINE)
    ours = [copy for copy in copies if not copy.startswith("--from=")]
    return [source for copy in ours for source in copy.split()[:-1]]


@pytest.mark.parametrize("source", copied_by_docker())
def test_the_container_copies_only_what_is_there(source):
    assert (ROOT / source).exists()


@pytest.mark.parametrize("source", copied_by_docker())
def test_the_container_s_build_is_given_what_it_copies(source):
    ignored = False
    for pattern in lines(".dockerignore"):
        if fnmatch.fnmatch(source, pattern.lstrip("!")):
            ignored = not pattern.startswith("!")
    assert not ignored


def test_the_container_copies_something():
    assert "brainage" in copied_by_docker()


def test_a_built_package_carries_the_configurations_and_the_report_s_template(tmp_path):
    built = tmp_path / "lib"
    command = ["setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(
        [sys.executable, *command, "build_py", "--build-lib", str(built)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    configs = {path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml")}
    assert configs
    assert {path for path in configs if not (built / "brainage" / path).is_file()} == set()
    templates = (ROOT / "brainage/reporting/templates").iterdir()
    shipped = built / "brainage/reporting/templates"
    assert [path.name for path in templates if not (shipped / path.name).is_file()] == []


def test_the_licence_is_the_exact_text():
    digest = hashlib.md5((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "3b83ef96387f14655fc854ddc3c6bd57"  # LICENSE-2.0.txt of the Apache Foundation
    assert PROJECT["license"] == "Apache-2.0"


def test_the_continuous_check_is_a_strict_script_that_can_be_run():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in lines(".ci/run")
    subprocess.run(["bash", "-n", script], check=True)


def test_a_commit_is_checked_by_the_tools_of_make_lint():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {Path(hook["entry"].split()[0]).name for hook in repo["hooks"]}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert hooks == set(re.findall(r"\$\(bin\)/([\w-]+)", recipe))
