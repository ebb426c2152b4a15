"""Rules that hold for every file of the project."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
PYTHON = sorted(
    path for folder in ("brainage", "pipelines", "tests") for path in (ROOT / folder).rglob("*.py")
)
LIBRARY = [path for path in PYTHON if not path.is_relative_to(ROOT / "tests")]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", LIBRARY, ids=relative)
def test_a_function_fits_on_a_screen(path):
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {
        node.name: length
        for node in functions
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def tracked_texts() -> list[tuple[str, str]]:
    """Name and content of every text file that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    texts = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


# The folders in which people and machines keep their work.
PLACES = ("home", "Users", "root", "work", "mnt")
MACHINE_PATH = re.compile(rf"(?<![\w.~}}>-])/(?:{'|'.join(PLACES)})/[\w.]")


def test_no_file_names_a_place_on_one_machine():
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("text", ["/{}/main", "'/{}/me/x'", "x=/{}/.venv/bin"])
@pytest.mark.parametrize("place", PLACES)
def test_a_place_on_one_machine_would_be_seen(text, place):
    assert MACHINE_PATH.search(text.format(place))


@pytest.mark.parametrize("text", ["docs/{}/x", "../{}/x", "https://x.org/{}/y"])
def test_a_relative_path_is_none(text):
    assert not MACHINE_PATH.search(text.format("home"))
