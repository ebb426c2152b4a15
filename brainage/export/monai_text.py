"""What stands in the text files of a MONAI bundle."""

from importlib.metadata import version
from typing import Any

from brainage.bundle.model import ModelBundle
from brainage.export.graph import AgeGraph

SCHEMA_URL = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
"""What MONAI's own bundles name; its tool downloads it unless it is given a file."""

BUNDLE_VERSION = "1.0.0"
_PACKAGES = ("monai", "torch", "numpy", "nibabel")

LICENSE = """\
The files that brainage wrote into this folder are under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0

What the weights may be used for depends also on the scans that they were trained on; see the model
card in docs/README.md.
"""

_README = """\
# Brain age as a MONAI bundle

Input: a T1-weighted scan after the preprocessing of this model, one volume of {shape} voxels of
{spacing:g} mm, 0 outside the brain. The bundle does not preprocess. `brainage` does:

```
brainage preprocess scans/ --config configs/preprocessing.yaml --out derivatives
```

The volumes are `derivatives/sub-*/**/*_desc-preproc_T1w.nii.gz`. From this folder:

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir derivatives
python -m monai.bundle verify_metadata --meta_file configs/metadata.json \\
    --filepath configs/metadata_schema.json
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json --device cpu
```

The first writes `ages.json`: for each volume its age in years and that by block. MONAI's tools
need the packages `fire` and `jsonschema`. `configs/metadata_schema.json` asks for what MONAI's own
schema asks for, so that nothing is downloaded; with a `--filepath` that is not there, MONAI fetches
its own to that place.

Ages are as predicted, not corrected for the age bias. `models/model.ts` is TorchScript and gives
(B, {channels}): {names}. The weights are in it; there is no pickled `model.pt`.

{card}
"""


def readme(bundle: ModelBundle, graph: AgeGraph, card: str) -> str:
    """``docs/README.md``: how to run the bundle, then the model card."""
    return _README.format(
        shape=" x ".join(str(size) for size in bundle.input_shape[1:]),
        spacing=bundle.config.preprocess.grid.spacing_mm,
        channels=1 + len(graph.blocks),
        names=", ".join(_channels(graph).values()),
        card=card,
    )


def metadata(bundle: ModelBundle, graph: AgeGraph, facts: dict[str, Any]) -> dict[str, Any]:
    """``configs/metadata.json``; the contract stands in it under ``brainage``."""
    versions = {name: version(name) for name in _PACKAGES}
    return {
        "schema": SCHEMA_URL,
        "version": BUNDLE_VERSION,
        "changelog": {BUNDLE_VERSION: f"exported from the model {bundle.model_hash}"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {"nibabel": versions["nibabel"]},
        "name": bundle.config.name,
        "task": "Brain age in years from a T1-weighted scan",
        "description": "Predicts the age of the person in a preprocessed T1-weighted scan. A "
        "research measure; no diagnosis, and not for clinical use.",
        "authors": "whoever trained the model, with brainage",
        "copyright": "see LICENSE",
        "data_type": "nibabel",
        "image_classes": "one channel: T1w brain in MNI152 space, normalised, 0 outside",
        "pred_classes": "ages in years: the answer, then that of each block",
        "intended_use": "research",
        "network_data_format": {
            "inputs": {"image": _image(bundle)},
            "outputs": {"pred": _prediction(graph)},
        },
        "brainage": facts,
    }


def inference() -> dict[str, Any]:
    """``configs/inference.json``: ages of all preprocessed volumes below ``dataset_dir``."""
    return {
        "imports": ["$import glob", "$import json", "$import pathlib"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/volumes'",
        "output_file": "$@bundle_root + '/ages.json'",
        "device": "$torch.device('cpu')",
        "volumes": "$[p for p in sorted(glob.glob(@dataset_dir + '/**/*.nii.gz', recursive=True))"
        " if not p.endswith('_mask.nii.gz')]",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', "
        "map_location=@device).eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "LoadImaged",
                    "keys": "image",
                    "image_only": True,
                    "ensure_channel_first": True,
                },
                {"_target_": "EnsureTyped", "keys": "image", "track_meta": False},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': each} for each in @volumes]",
            "transform": "@preprocessing",
        },
        "inferer": {"_target_": "SimpleInferer"},
        "answers": "$[@inferer(item['image'][None].to(@device), @network_def)[0].tolist() "
        "for item in @dataset]",
        "ages": "$[{'volume': path, 'age_years': ages[0], 'age_years_by_block': ages[1:]} "
        "for path, ages in zip(@volumes, @answers)]",
        "run": [
            "$torch.set_grad_enabled(False)",
            "$pathlib.Path(@output_file).write_text(json.dumps(@ages, indent=2) + '\\n')",
        ],
    }


def schema() -> dict[str, Any]:
    """A JSON schema of the metadata: the fields that MONAI asks every bundle for, and ours."""
    texts = (
        "schema", "version", "monai_version", "pytorch_version", "numpy_version", "task",
        "description", "authors", "copyright",
    )  # fmt: skip
    tensor = {
        "type": "object",
        "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
        "properties": {
            "num_channels": {"type": "integer", "minimum": 1},
            "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}},
            "value_range": {"type": "array", "items": {"type": "number"}},
        },
    }
    tensors = {"type": "object", "minProperties": 1, "additionalProperties": tensor}
    return {
        "type": "object",
        "required": [*texts, "required_packages_version", "network_data_format", "brainage"],
        "properties": {
            **{name: {"type": "string", "minLength": 1} for name in texts},
            "required_packages_version": {"type": "object"},
            "network_data_format": {
                "type": "object",
                "required": ["inputs", "outputs"],
                "properties": {"inputs": tensors, "outputs": tensors},
            },
            "brainage": {"type": "object", "required": ["model_hash", "age_unit", "template"]},
        },
    }


def _image(bundle: ModelBundle) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": 1,
        "spatial_shape": list(bundle.input_shape[1:]),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {"0": "T1w"},
    }


def _prediction(graph: AgeGraph) -> dict[str, Any]:
    return {
        "type": "regression",
        "format": "age_years",
        "num_channels": 1 + len(graph.blocks),
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": _channels(graph),
    }


def _channels(graph: AgeGraph) -> dict[str, str]:
    names = ["age_years", *(f"age_years of block {block}" for block in graph.blocks)]
    return {str(number): name for number, name in enumerate(names)}
