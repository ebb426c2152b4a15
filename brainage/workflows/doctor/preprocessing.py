"""What preprocessing stands on: the template, the weights of the extraction, other programs."""

import zipfile
from pathlib import Path

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.files import PREPROCESSING, read_yaml
from brainage.preprocess.deepbet import deepbet_weights
from brainage.preprocess.external_extraction import PROGRAM_NAMES, find_program
from brainage.preprocess.template import TEMPLATE_NAME, load_template
from brainage.workflows.doctor.finding import Finding

GROUP = "preprocessing"


def template() -> list[Finding]:
    """The template of the installed nilearn, beside that of the demonstration model."""
    found = load_template().sha256
    expected = read_yaml(DEMONSTRATION / PREPROCESSING)["template_sha256"]
    same = found == expected
    return [
        Finding(
            group=GROUP,
            name="template",
            status="ok" if same else "problem",
            found=f"{TEMPLATE_NAME}, SHA-256 {found[:12]}..."
            + ("" if same else f", expected {expected[:12]}..."),
            advice=""
            if same
            else "models refuse another template: install the nilearn they were trained with",
            values={"sha256": found},
        )
    ]


def extraction_weights() -> list[Finding]:
    """The two networks in the wheel of deepbet: there, and whole."""
    return [_weights(path) for path in deepbet_weights()]


def _weights(path: Path) -> Finding:
    name = f"deepbet {path.name}"
    try:
        with zipfile.ZipFile(path) as archive:  # TorchScript; every piece has a checksum
            damaged = archive.testzip()
        problem = f"damaged: {damaged}" if damaged else ""
    except FileNotFoundError:
        problem = "not in the package"
    except (OSError, zipfile.BadZipFile) as error:
        problem = f"damaged: {error}"
    if problem:
        advice = "pip install --force-reinstall deepbet"
        return Finding(
            group=GROUP, name=name, status="problem", found=f"{path}: {problem}", advice=advice
        )
    return Finding(
        group=GROUP, name=name, status="ok", found=f"{path.stat().st_size / 1e6:.1f} MB, whole"
    )


def programs() -> list[Finding]:
    """Programs that can extract brains instead, where a configuration asks for them."""
    return [_program(extra, names) for extra, names in PROGRAM_NAMES.items()]


def _program(extra: str, names: tuple[str, ...]) -> Finding:
    path = find_program(names)
    if path is None:
        return Finding(
            group=GROUP,
            name=extra,
            status="missing",
            found=f"no program {' or '.join(names)}",
            advice=f"pip install 'brainage[{extra}]'",
        )
    return Finding(group=GROUP, name=extra, status="ok", found=path)
