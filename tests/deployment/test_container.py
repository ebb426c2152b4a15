"""The Dockerfile, as far as it can be checked without a container engine.

tests/architecture/test_packaging.py looks at what it copies.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


class Instruction(NamedTuple):
    name: str
    words: str


def instructions() -> list[Instruction]:
    """Of the whole file, in order, without comments."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


def stages() -> dict[str, list[Instruction]]:
    """Instructions of each stage by its name; the one that is shipped is called "last"."""
    found: dict[str, list[Instruction]] = {}
    name = ""
    for instruction in instructions():
        if instruction.name == "FROM":
            name = instruction.words.partition(" AS ")[2] or "last"
        found.setdefault(name, []).append(instruction)
    return found


def last(name: str) -> str:
    (words,) = [each.words for each in stages()["last"] if each.name == name]
    return words


def test_the_linter_has_nothing_to_say():
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_one_argument_chooses_the_device_and_without_it_the_image_is_for_a_cpu():
    assert Instruction("ARG", "DEVICE=cpu") in instructions()
    assert last("FROM") == "${DEVICE}"
    assert {"cpu", "cuda"} <= set(stages())


def test_a_host_s_accelerators_are_let_in_by_the_cuda_image_alone():
    cuda, cpu = (str(stages()[device]) for device in ("cuda", "cpu"))
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in cuda
    assert "NVIDIA" not in cpu


@pytest.mark.parametrize(
    ("device", "cuda_of_torch", "built"),
    [
        ("cpu", "None", True),
        ("cpu", "'13.0'", True),
        ("cuda", "'13.0'", True),
        ("cuda", "None", False),
    ],
)
def test_an_image_for_cuda_is_not_built_from_a_torch_without_it(
    device, cuda_of_torch, built, tmp_path
):
    (tmp_path / "torch.py").write_text(f"class version: cuda = {cuda_of_torch}\n")
    check = next(each.words for each in stages()["build"] if "torch.version.cuda" in each.words)
    script = check.replace("python", sys.executable, 1)
    settings = {"DEVICE": device, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script], env=settings, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) is built
    assert ("this torch is for the CPU alone" in done.stderr) is not built


def test_what_runs_is_the_program_and_its_user_is_nobody_in_particular():
    assert last("ENTRYPOINT") == '["brainage"]'
    assert last("USER") == "1000:1000"
    assert last("WORKDIR") == "/data"


def test_any_user_can_write_where_the_program_keeps_things():
    settings = dict(pair.split("=") for pair in last("ENV").split())
    assert settings["USER"]  # getpass asks for it before it looks into /etc/passwd
    assert f"chmod 1777 {settings['HOME']} /data" in last("RUN")


def test_every_version_is_pinned():
    bases = [each.words.split()[0] for each in instructions() if each.name == "FROM"]
    foreign = [base for base in bases if base not in {*stages(), "${DEVICE}"}]
    assert [base for base in foreign if not re.search(r":3\.11\.\d+-slim-\w+$", base)] == []
    assert len(foreign) == 1
    installing = [each.words for each in instructions() if "pip install" in each.words]
    assert installing
    assert [command for command in installing if "-c constraints.txt" not in command] == []


def test_the_requirements_that_are_installed_first_are_those_of_the_package(tmp_path):
    listing = next(each.words for each in stages()["build"] if "tomllib" in each.words)
    script = listing.partition("&&")[2].replace("python", sys.executable, 1)
    script = script.replace("> requirements.txt", f"> {tmp_path / 'requirements.txt'}")
    subprocess.run(["bash", "-c", script], cwd=ROOT, check=True)
    listed = (tmp_path / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("torch>=") for line in listed)
    assert all(f'  "{line}",' in (ROOT / "pyproject.toml").read_text() for line in listed)


def test_no_package_index_is_named():
    assert re.findall(r"https?://", DOCKERFILE.read_text(encoding="utf-8")) == []
