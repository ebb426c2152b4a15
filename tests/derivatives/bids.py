"""The part of BIDS that derivatives of T1w scans fall under, written down by hand."""

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import nibabel as nib

_ENTITIES = (
    r"sub-[0-9A-Za-z]+(_ses-[0-9A-Za-z]+)?(_acq-[0-9A-Za-z]+)?(_ce-[0-9A-Za-z]+)?"
    r"(_rec-[0-9A-Za-z]+)?(_run-[0-9A-Za-z]+)?"
)
_SPACE = r"_space-(?P<space>[0-9A-Za-z]+)_res-[0-9A-Za-z]+"
_NAMES = (
    re.compile(rf"{_ENTITIES}{_SPACE}_desc-preproc_T1w\.(nii\.gz|json)"),
    re.compile(rf"{_ENTITIES}{_SPACE}_desc-brain_mask\.(nii\.gz|json)"),
)
_STANDARD_SPACES = {f"MNI152NLin2009{x}{y}" for x in "abc" for y in ("Sym", "Asym")}
_AT_THE_TOP = {"dataset_description.json", "README", ".bidsignore"}
_REQUIRED = {
    "desc-preproc_T1w": {"SkullStripped", "Resolution", "Sources", "SpatialReference"},
    "desc-brain_mask": {"Type", "Resolution", "Sources", "SpatialReference"},
}


def problems(root: Path) -> list[str]:
    """What is not as BIDS wants it, one line each."""
    found = list(_of_description(root))
    ignored = (root / ".bidsignore").read_text().split()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        skip = any(fnmatch(part, pattern) for part in name.parts for pattern in ignored)
        if path.is_dir() or skip or name.as_posix() in _AT_THE_TOP:
            continue
        found += [f"{name}: {problem}" for problem in _of_file(name, path)]
    return found


def _of_description(root: Path):
    content = json.loads((root / "dataset_description.json").read_text())
    for key in ("Name", "BIDSVersion", "GeneratedBy", "DatasetType", "SourceDatasets"):
        if not content.get(key):
            yield f"dataset_description.json: no {key}"
    if content["DatasetType"] != "derivative" or not content["GeneratedBy"][0]["Name"]:
        yield "dataset_description.json: is not that of a derivative"


def _of_file(name: Path, path: Path):
    matches = [match for rule in _NAMES if (match := rule.fullmatch(name.name))]
    if not matches:
        yield "no name of BIDS"
        return
    if matches[0]["space"] not in _STANDARD_SPACES:
        yield f"no standard space: {matches[0]['space']}"
    entities = dict(part.split("-", 1) for part in name.name.split("_") if "-" in part)
    folders = [f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities]
    if list(name.parts[:-1]) != [*folders, "anat"]:
        yield "lies in another folder than its name says"
    if name.suffix == ".gz":
        image = nib.load(path)
        if image.header.get_xyzt_units()[0] != "mm" or image.header["sform_code"] != 4:
            yield "does not say its unit or space"
        content = json.loads(path.with_name(name.name.replace(".nii.gz", ".json")).read_text())
        kind = next(kind for kind in _REQUIRED if kind in name.name)
        for key in sorted(_REQUIRED[kind] - content.keys()):
            yield f"its sidecar has no {key}"


def validator_errors(root: Path) -> list[str] | None:
    """Errors of the official validator; None where it is not installed."""
    program = shutil.which("bids-validator-deno")
    if program is None:
        beside_python = Path(sys.executable).with_name("bids-validator-deno")
        if not beside_python.exists():
            return None
        program = str(beside_python)
    done = subprocess.run(
        [program, str(root), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{i['code']} {i['location']}" for i in issues if i["severity"] == "error"]
