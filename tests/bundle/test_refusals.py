"""A bundle with a missing, altered or mismatching piece is refused, with the piece's name."""

import itertools
import json
import os
import re
import shutil

import pytest
from safetensors.torch import load_file, save_file

from brainage.bundle.files import REQUIRED, file_sha256
from brainage.bundle.load import load_bundle
from brainage.config.yaml_text import read_yaml, to_yaml
from brainage.errors import BundleError
from brainage.preprocess.template import load_template
from tests.bundle.conftest import edit_json
from tests.safety.hostile import seal

BIN = {"from_years": None, "low_years": -3.0, "high_years": 4.0, "n": 60}


def edit_yaml(path, **changes):
    path.write_text(to_yaml({**read_yaml(path), **changes}))


def member(task):
    return {"name": "final", "overrides": [], "task": task}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(name, copied):
    (copied / name).unlink()
    with pytest.raises(BundleError, match=rf"not a complete model: {re.escape(name)} missing"):
        load_bundle(copied)


def test_all_missing_files_are_named_at_once(copied):
    shutil.rmtree(copied / "golden")
    with pytest.raises(BundleError, match=r"golden/scan\.nii\.gz, golden/expected\.json missing"):
        load_bundle(copied)


def test_a_folder_that_is_not_there_is_told_from_one_that_is_no_model(tmp_path):
    with pytest.raises(BundleError, match=r"none: no such model folder; give --model"):
        load_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match=r"not a complete model: weights\.safetensors, model\.y"):
        load_bundle(tmp_path)


def test_the_folder_of_the_run_is_told_from_that_of_its_model(copied):
    with pytest.raises(BundleError, match=r"a run, not a model; did you mean .*/model\?"):
        load_bundle(copied.parent)


@pytest.mark.parametrize("position", [0, 0.5, -1])
def test_one_altered_byte_of_the_weights_is_refused(position, copied):
    path = copied / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[int(position * len(content)) if position > 0 else position] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"weights\.safetensors: not the weights this model was"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age_unit": "months"}, "expected ages in years, got months"),
        ({"format": 1}, "expected bundle format 3, got 1"),
        ({"input_shape": [1, 48, 56, 48]}, r"expected input_shape \[1, 40, 48, 40\], the grid of"),
        ({"input_shape": "big"}, r"expected input_shape .* got big"),
        ({"members": [member({"name": "guessing"})]}, "damaged: task: 'guessing'"),
        ({"members": [member({"name": "soft_bins", "colour": 1})]}, "damaged: task: .*colour"),
        ({"members": [member("soft_bins")]}, "damaged: task: "),
        ({"members": [{"name": "final"}]}, "damaged: members: 'overrides'"),
        ({"members": []}, r"damaged: members: expected a list, got \[\]"),
        ({"run": {"name": "tiny", "sede": 3}}, r"run\.sede: unknown key, did you mean seed\?"),
    ],
)
def test_a_model_of_another_kind_is_refused(changes, message, copied):
    edit_yaml(copied / "model.yaml", **changes)
    with pytest.raises(BundleError, match=rf"model\.yaml: .*{message}"):
        load_bundle(copied)


@pytest.mark.parametrize(
    "key", ["format", "age_unit", "input_shape", "members", "run", "weights_sha256"]
)
def test_a_missing_key_is_named(key, copied):
    model = read_yaml(copied / "model.yaml")
    del model[key]
    (copied / "model.yaml").write_text(to_yaml(model))
    with pytest.raises(BundleError, match=rf"model\.yaml: damaged: {key} missing"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"template": "colin27"}, "template"),
        ({"template_sha256": "0" * 64}, "template_sha256"),
        ({"preprocessing_hash": "0" * 16}, "preprocessing_hash"),
        ({"steps": {}}, "steps"),
    ],
)
def test_preprocessing_that_cannot_be_repeated_is_refused(changes, key, copied):
    edit_yaml(copied / "preprocessing.yaml", **changes)
    message = rf"preprocessing\.yaml: this installation cannot repeat .* {key} is .* here"
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


def test_settings_other_than_those_of_the_contract_are_refused(copied):
    """A grid changed in the configuration alone would feed the network another volume."""
    model = read_yaml(copied / "model.yaml")
    model["run"]["preprocess"]["intensity"]["clip"] = 3.0
    edit_yaml(copied / "model.yaml", run=model["run"])
    with pytest.raises(BundleError, match="preprocessing_hash is "):
        load_bundle(copied)


def test_another_template_on_this_machine_is_refused(saved, monkeypatch):
    template = load_template()
    other = type(template)(template.brain_XYZ, template.mask_XYZ, template.affine, "f" * 64)
    for module in ("brainage.bundle.load", "brainage.preprocess.pipeline"):
        monkeypatch.setattr(f"{module}.load_template", lambda: other)
    with pytest.raises(BundleError, match=r"template_sha256 is 'f+' here"):
        load_bundle(saved.folder)


@pytest.mark.parametrize("change", ["shape", "fewer", "more"])
def test_weights_of_another_network_are_refused(change, copied):
    path = copied / "weights.safetensors"
    weights = load_file(path)
    first = sorted(weights)[0]
    if change == "shape":
        weights[first] = weights[first][:1].clone()
    elif change == "fewer":
        del weights[first]
    else:
        weights["blocks.9.weight"] = weights[first].clone()
    save_file(weights, path)
    edit_yaml(copied / "model.yaml", weights_sha256=file_sha256(path))
    name = "blocks.9.weight" if change == "more" else first
    message = (
        rf"does not fit the networks of model\.yaml: {re.escape(name)} has .* \(1 differences\)"
    )
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


def test_a_file_that_holds_no_weights_is_refused(copied):
    path = copied / "weights.safetensors"
    path.write_bytes(b"\x80\x04K\x01.")
    edit_yaml(copied / "model.yaml", weights_sha256=file_sha256(path))
    with pytest.raises(BundleError, match=r"weights\.safetensors: damaged: "):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.yaml", "a: [", r"damaged model: .*model\.yaml"),
        ("model.yaml", "", r"model\.yaml: damaged: format, age_unit, .* missing"),
        ("preprocessing.yaml", "- 1\n", r"damaged model: .*preprocessing\.yaml"),
        ("calibration.json", "{", r"calibration\.json: damaged: "),
        ("calibration.json", "[]", r"calibration\.json: damaged: expected an object, got list"),
        ("calibration.json", "{}", r"expected training_age_range_years as two ages, got None"),
    ],
)
def test_a_damaged_text_is_named(name, content, message, copied):
    (copied / name).write_text(content)
    with pytest.raises(BundleError, match=message):
        load_bundle(copied)


@pytest.mark.parametrize("ages", [None, 20.0, [20.0], ["20", "68"], [20.0, 40.0, 68.0]])
def test_training_ages_that_are_no_range_are_refused(ages, copied):
    edit_json(copied / "calibration.json", training_age_range_years=ages)
    with pytest.raises(BundleError, match="expected training_age_range_years as two ages"):
        load_bundle(copied)


def test_a_readable_edit_of_what_decides_predictions_is_refused(copied):
    """Every file is valid by itself: only together they are not what was saved."""
    edit_json(copied / "calibration.json", training_age_range_years=[0.0, 120.0])
    with pytest.raises(BundleError, match="altered since it was saved"):
        load_bundle(copied)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_file_that_lies_elsewhere_is_refused(name, copied, tmp_path):
    """A bundle of somebody else could name any file that the user can read."""
    elsewhere = (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(elsewhere)
    with pytest.raises(BundleError, match=rf"{re.escape(name)}: a link to .*elsewhere, outside"):
        load_bundle(copied)


@pytest.mark.parametrize("target", ["../elsewhere", "golden/../../elsewhere"])
def test_a_folder_that_lies_elsewhere_is_refused(target, copied, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (copied / "more").symlink_to(target)
    with pytest.raises(BundleError, match=r"more: a link to .*elsewhere, outside"):
        load_bundle(copied)


def test_links_that_lead_nowhere_or_to_themselves_are_refused(copied):
    link = copied / "golden" / "round"
    link.symlink_to("round")
    with pytest.raises(BundleError, match="round: a link to round, outside"):
        load_bundle(copied)
    link.unlink()
    link.symlink_to("/nowhere/at/all")
    with pytest.raises(BundleError, match="a link to /nowhere/at/all, outside"):
        load_bundle(copied)


def test_links_within_the_folder_and_to_the_folder_are_followed(copied, tmp_path):
    (copied / "MODEL_CARD.md").rename(copied / "card.md")
    (copied / "MODEL_CARD.md").symlink_to("card.md")
    (tmp_path / "champion").symlink_to(copied)
    assert load_bundle(tmp_path / "champion").folder == tmp_path / "champion"


def test_files_that_the_user_may_not_read_are_named(copied, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "model.yaml")
    with pytest.raises(BundleError, match=r"model: model\.yaml cannot be read; ask its owner"):
        load_bundle(copied)


def test_a_few_lines_that_mean_gigabytes_are_refused(copied):
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in itertools.pairwise("abcdefghijklmnop")
    )
    with (copied / "model.yaml").open("a") as stream:
        stream.write(bomb)
    with pytest.raises(BundleError, match=r"model\.yaml: expected no aliases, got \*a in line"):
        load_bundle(copied)


def test_json_without_end_to_its_depth_is_refused(copied):
    (copied / "calibration.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match=r"calibration\.json: damaged: "):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training_age_range_years": [60.0, 5.0]}, "as two ages"),
        ({"training_age_range_years": [True, 50.0]}, "as two ages"),
        ({"training_age_range_years": [float("nan"), 50.0]}, "as two ages"),
        ({"training_scan_sha256": 5}, "training_scan_sha256: expected a list of hashes"),
        ({"age_line": {"slope": float("nan"), "intercept_years": 0, "n": 30}}, "expected a finite"),
        ({"age_line": {"slope": 1.0, "intercept_years": "3", "n": 30}}, "expected a finite"),
        ({"intervals": {"coverage": 7, "bins": [BIN]}}, "intervals: coverage: expected a fraction"),
        ({"intervals": {"coverage": 0.9, "bins": []}}, "intervals: bins: expected at least one"),
        ({"intervals": {"coverage": 0.9, "bins": [BIN | {"low_years": 50.0}]}}, "low_years below"),
        ({"intervals": {"coverage": 0.9, "bins": [BIN | {"n": float("inf")}]}}, "a finite number"),
        (
            {"intervals": {"coverage": 0.9, "bins": [BIN, BIN | {"from_years": 40.0},
                                                      BIN | {"from_years": 30.0}]}},
            "expected rising lower ends",
        ),
    ],
)  # fmt: skip
def test_a_calibration_that_cannot_be_is_refused(copied, changes, said):
    path = copied / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    seal(copied)
    with pytest.raises(BundleError, match=rf"calibration\.json: damaged: .*{said}"):
        load_bundle(copied)


def test_a_model_whose_hash_is_not_stated_is_refused(copied):
    (copied / "golden/expected.json").write_text("{}")
    with pytest.raises(BundleError, match="altered since it was saved"):
        load_bundle(copied)
