"""What travels along with an exported model: how its input is made and what its output means."""

import json
from importlib.metadata import version
from typing import Any

from brainage import __version__
from brainage.bundle.files import AGE_UNIT, PREPROCESSING, read_yaml
from brainage.bundle.model import ModelBundle
from brainage.config.validation import to_plain
from brainage.config.yaml_text import to_yaml
from brainage.export.graph import AgeGraph

INPUT = "volume"
OUTPUTS = ("age_years", "age_years_by_block")

_STEPS = """\
# How a raw T1-weighted scan becomes the input of the exported model {hash}:
#   brainage preprocess scans/ --config {name} --out derivatives
# *_desc-preproc_T1w.nii.gz holds the volume. Template: {template}, SHA-256 {sha256}.
{steps}"""


def contract_of(bundle: ModelBundle, graph: AgeGraph) -> dict[str, Any]:
    """The facts, plain JSON values by name.

    Args:
        bundle: the model.
        graph: what is exported of it.
    """
    stored = read_yaml(bundle.folder / PREPROCESSING)
    known = bundle.calibration
    return {
        "model_hash": bundle.model_hash,
        "answer": graph.answer,
        "age_unit": AGE_UNIT,
        "age_correction": "none: ages are as predicted, without the correction of the age bias",
        "blocks": graph.blocks,
        "networks": len(graph.tasks),
        "views": len(graph.views),
        "input_shape": list(graph.input_shape),
        "input_spacing_mm": bundle.config.preprocess.grid.spacing_mm,
        "template": stored["template"],
        "template_sha256": stored["template_sha256"],
        "preprocessing_hash": bundle.preprocessing_hash,
        "training_age_range_years": known["training_age_range_years"],
        "training_scans": known.get("training_scans"),
        "held_out_mae_years": (known.get("held_out") or {}).get("mae_years"),
        "brainage_version": __version__,
        "torch_version": version("torch"),
    }


def preprocessing_text(bundle: ModelBundle, name: str) -> str:
    """The steps as a file that ``brainage preprocess --config`` takes.

    Args:
        bundle: the model.
        name: of that file.
    """
    stored = read_yaml(bundle.folder / PREPROCESSING)
    return _STEPS.format(
        hash=bundle.model_hash,
        name=name,
        template=stored["template"],
        sha256=stored["template_sha256"],
        steps=to_yaml(to_plain(bundle.config.preprocess)),
    )


def as_strings(facts: dict[str, Any]) -> dict[str, str]:
    """The facts as text: strings as they are, all else as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in facts.items()
    }
