"""The command on a real scan: the demonstration model, few and large cubes."""

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.load import load_bundle
from brainage.cli import run
from brainage.explain.config import ExplainConfig
from brainage.preprocess.pipeline import Preprocessor
from brainage.scans.nifti import read_scan
from brainage.workflows.explain.run import explain
from tests.workflows.tiny import UNSEEN, sample_scan

QUICK = ExplainConfig(cube_mm=40, stride_mm=40, num_steps=8)
PLANTED = "Doe^Jane"
FILES = {
    "explanation.json", "regions.csv", "picture.png",
    "template_occlusion.nii.gz", "scan_occlusion.nii.gz",
    "template_integrated_gradients.nii.gz", "scan_integrated_gradients.nii.gz",
}  # fmt: skip


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> Path:
    """A real scan stored in another order of axes, with a name in its header."""
    image = nib.load(sample_scan(UNSEEN))
    stored = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    stored.header["descrip"] = PLANTED
    stored.header["aux_file"] = PLANTED
    stored.header["intent_name"] = PLANTED
    path = tmp_path_factory.mktemp("turned") / "T1w.nii.gz"
    stored.to_filename(path)
    return path


@pytest.fixture(scope="module")
def explained(turned, tmp_path_factory):
    out = tmp_path_factory.mktemp("explained")
    return out, explain(turned, model=None, out=out, config=QUICK)


def content(out):
    return json.loads((out / "explanation.json").read_text())


def test_all_files_are_there(explained):
    out, summary = explained
    assert {path.name for path in out.iterdir()} == FILES
    assert summary.exit_code == 0


def test_the_numbers_are_those_of_the_model(explained, turned):
    out, summary = explained
    bundle = load_bundle(DEMONSTRATION)
    volume = Preprocessor(bundle.config.preprocess)(read_scan(turned)).volume_XYZ
    found = content(out)
    assert found["predicted_age"] == summary.predicted_age == bundle.predict(volume).age_years
    assert set(found["by_block"]) == set(found["by_worker"]) == {"1", "2", "3", "4"}
    assert found["by_block"]["4"] == pytest.approx(found["explained_age"], abs=1e-3)
    assert found["model_hash"] == bundle.model_hash
    assert {name for name, each in found["maps"].items() if each["sanity"]["passed"]} == {
        "occlusion",
        "integrated_gradients",
    }


def test_a_map_on_the_scan_has_the_scan_s_grid_and_lies_in_its_brain(explained, turned):
    out, _ = explained
    scan, overlay = nib.load(turned), nib.load(out / "scan_occlusion.nii.gz")
    assert overlay.shape == scan.shape
    np.testing.assert_allclose(overlay.affine, scan.affine, atol=1e-4)
    # The skull of this scan is stripped: what is not zero is brain.
    brain, shown = scan.get_fdata() > 0, overlay.get_fdata() != 0
    assert 2 * (brain & shown).sum() / (brain.sum() + shown.sum()) > 0.9


def test_a_map_on_the_template_has_the_model_s_grid(explained):
    out, _ = explained
    image = nib.load(out / "template_integrated_gradients.nii.gz")
    assert image.shape == (40, 48, 40)
    assert image.header.get_zooms() == (4.0, 4.0, 4.0)
    years = image.get_fdata().sum() * 0.064
    assert years == pytest.approx(
        content(out)["maps"]["integrated_gradients"]["sum_years"], rel=1e-3
    )


def test_the_table_has_both_maps(explained):
    out, _ = explained
    with (out / "regions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for method in ("occlusion", "integrated_gradients"):
        shares = [float(row["share"]) for row in rows if row["method"] == method]
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_nothing_of_the_header_is_written(explained):
    out, _ = explained
    for path in out.iterdir():
        data = path.read_bytes()
        if path.name.endswith(".nii.gz"):
            header = nib.load(path).header
            assert (header["descrip"], header["aux_file"], header["intent_name"]) == (b"",) * 3
            data = nib.load(path).to_bytes()
        assert PLANTED.encode() not in data


def test_a_scan_that_cannot_be_used_is_a_result_without_old_maps(explained, tmp_path):
    out = Path(shutil.copytree(explained[0], tmp_path / "out"))
    (tmp_path / "bad.nii.gz").write_bytes(b"no scan")
    summary = explain(tmp_path / "bad.nii.gz", model=None, out=out, config=QUICK)
    assert summary.exit_code == 1
    (line,) = summary.describe()
    assert line.startswith(f"{tmp_path / 'bad.nii.gz'}: read: expected NIfTI")
    assert [path.name for path in out.iterdir()] == ["explanation.json"]
    assert (content(out)["status"], content(out)["stage"]) == ("failed", "read")


def command(capsys, *arguments):
    code = run(["explain", *(str(each) for each in arguments)])
    captured = capsys.readouterr()
    return code, captured.err.strip().rpartition("\n")[2], captured.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--answer", "block9"], "answer: expected one of last, ensemble, block1"),
        (["--cube-mm", "0"], "cube_mm: expected from 1 to 80, got 0"),
        (["--stride-mm", "30"], "stride_mm: expected from 1 to cube_mm (16)"),
        (["--steps", "2"], "num_steps: expected from 8 to 1000, got 2"),
        (["--method", "grad_cam"], "'grad_cam' is not one of"),
        (["--model", "nowhere"], "nowhere: no such model folder"),
    ],
)
def test_wrong_options_are_one_line(capsys, tmp_path, turned, options, said):
    code, line, out = command(capsys, turned, "--out", tmp_path / "out", *options)
    assert (code, out) == (2, "")
    assert line.startswith("error: ")
    assert said in line
    assert not (tmp_path / "out").exists()


def test_wrong_places_are_one_line(capsys, tmp_path, turned):
    code, line, _ = command(capsys, tmp_path / "none.nii", "--out", tmp_path / "out")
    assert (code, "no such file or folder" in line) == (2, True)
    code, line, _ = command(capsys, turned, "--out", turned)
    assert (code, "is a file, not a folder" in line) == (2, True)
    code, line, _ = command(capsys, turned, "--out", DEMONSTRATION)
    assert (code, "holds a run or a model" in line) == (2, True)


def test_the_scan_itself_is_never_replaced(capsys, tmp_path, turned):
    scan = Path(shutil.copy(turned, tmp_path / "scan_occlusion.nii.gz"))
    code, line, _ = command(capsys, scan, "--out", tmp_path)
    assert (code, "would be replaced by a map" in line) == (2, True)
    assert scan.read_bytes() == turned.read_bytes()


def test_a_source_of_several_scans_is_refused_and_one_is_named(capsys, tmp_path, turned):
    for name in ("a", "b"):
        shutil.copy(turned, tmp_path / f"{name}.nii.gz")
    code, line, _ = command(capsys, tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert f"expected one scan, found 2; name one of them, e.g. {tmp_path / 'a.nii.gz'}" in line


def test_the_summary_as_json(capsys, tmp_path, turned):
    options = ["--method", "integrated_gradients", "--steps", "8", "--answer", "block1", "--json"]
    code, _, out = command(capsys, turned, "--out", tmp_path / "out", *options)
    values = json.loads(out)
    assert (code, values["status"], values["answer"]) == (0, "ok", "block1")
    assert set(values["sanity"]) == {"integrated_gradients"}
    assert "template_occlusion.nii.gz" not in {path.name for path in (tmp_path / "out").iterdir()}
