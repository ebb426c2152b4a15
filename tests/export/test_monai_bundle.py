"""MONAI bundles, by MONAI's own tools."""

import json
import os
import subprocess
import sys
import zipfile

import nibabel as nib
import numpy as np
import pytest
import torch

from brainage.export.monai_bundle import (
    is_monai_bundle,
    open_monai_bundle,
    write_monai_bundle,
    zip_folder,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.load` is deprecated:DeprecationWarning",
    "ignore:parsing config_file:UserWarning",
    "ignore:No hash value provided:UserWarning",
    "ignore:NvImgCodecPydicomReader:UserWarning",
)


@pytest.fixture(scope="module")
def folder(model, graph, belongings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("monai") / "age_bundle"
    write_monai_bundle(model, graph, folder, *belongings)
    return folder


def verify_metadata(folder):
    pytest.importorskip("jsonschema")
    from monai.bundle import verify_metadata

    verify_metadata(
        meta_file=str(folder / "configs/metadata.json"),
        filepath=str(folder / "configs/metadata_schema.json"),
    )


def test_monai_accepts_the_metadata_and_not_others(folder, tmp_path):
    verify_metadata(folder)
    (tmp_path / "configs").mkdir()
    content = json.loads((folder / "configs/metadata.json").read_text())
    del content["network_data_format"]["inputs"]["image"]["spatial_shape"]
    (tmp_path / "configs/metadata.json").write_text(json.dumps(content))
    schema = (folder / "configs/metadata_schema.json").read_text()
    (tmp_path / "configs/metadata_schema.json").write_text(schema)
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(tmp_path)


def test_monai_finds_the_network_as_the_metadata_say(folder, monkeypatch):
    from monai.bundle import verify_net_in_out

    monkeypatch.chdir(folder)
    files = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.json"}
    verify_net_in_out("network_def", device="cpu", **files)


def test_monai_runs_it_on_preprocessed_volumes(folder, graph, volumes, tmp_path):
    from monai.bundle import run

    paths = []
    for number, volume in enumerate(volumes[:2]):
        paths.append(tmp_path / f"sub-{number}" / f"sub-{number}_desc-preproc_T1w.nii.gz")
        paths[-1].parent.mkdir()
        nib.save(nib.Nifti1Image(volume[0].numpy(), np.diag([4.0, 4, 4, 1])), paths[-1])
    nib.save(nib.load(paths[0]), paths[0].with_name("sub-0_desc-brain_mask.nii.gz"))
    with torch.random.fork_rng():
        was = torch.is_grad_enabled()
        run(
            config_file=str(folder / "configs/inference.json"),
            bundle_root=str(folder),
            dataset_dir=str(tmp_path),
            output_file=str(tmp_path / "ages.json"),
        )
        torch.set_grad_enabled(was)
    rows = json.loads((tmp_path / "ages.json").read_text())
    assert [row["volume"] for row in rows] == [str(path) for path in paths]
    ages, by_block = graph(volumes[:2])
    assert [row["age_years"] for row in rows] == pytest.approx(ages.tolist(), abs=1e-4)
    assert rows[1]["age_years_by_block"] == pytest.approx(by_block[1].tolist(), abs=1e-4)


def test_the_folder_is_whole_and_holds_no_pickled_weights(folder):
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "LICENSE", "configs/inference.json", "configs/metadata.json",
        "configs/metadata_schema.json", "configs/preprocessing.yaml", "docs/README.md",
        "models/model.ts",
    }  # fmt: skip
    assert "# Model card" in (folder / "docs/README.md").read_text()


def test_the_network_answers_as_other_formats_do(folder, graph, volumes):
    for got, expected in zip(open_monai_bundle(folder)(volumes), graph(volumes), strict=True):
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=0)


def test_a_zip_file_unpacks_into_the_folder(folder, tmp_path):
    zip_folder(folder, tmp_path / "packed.zip")
    with zipfile.ZipFile(tmp_path / "packed.zip") as archive:
        archive.extractall(tmp_path)
    assert is_monai_bundle(tmp_path / "age_bundle")
    assert not is_monai_bundle(tmp_path)


@pytest.mark.slow
def test_the_commands_of_the_readme_run(folder, tmp_path):
    pytest.importorskip("fire")
    text = (folder / "docs/README.md").read_text().replace("\\\n", " ")
    commands = [line for line in text.splitlines() if line.startswith("python -m monai.bundle")]
    assert len(commands) == 3
    (folder / "derivatives").mkdir()
    for command in commands:
        words = command.split()
        subprocess.run(
            [sys.executable, "-W", "ignore", *words[1:]],
            cwd=folder,
            check=True,
            env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"},
        )
    assert json.loads((folder / "ages.json").read_text()) == []
