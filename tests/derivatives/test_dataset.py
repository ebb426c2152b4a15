"""The folder of derivatives: a data set of its own, held by one run at a time."""

import json
import threading
import time
from pathlib import Path

import pytest

from brainage.derivatives.dataset import derivatives_folder, source_uri
from brainage.errors import RunFolderError


def test_the_folder_says_what_it_is_and_where_it_is_from(tmp_path):
    source, out = tmp_path / "raw", tmp_path / "raw" / "derivatives" / "brainage"
    with derivatives_folder(out, source):
        content = json.loads((out / "dataset_description.json").read_text())
    assert content["DatasetType"] == "derivative"
    assert content["GeneratedBy"][0]["Name"] == "brainage"
    assert content["DatasetLinks"] == {"source": "../.."}
    uri = source_uri(source / "sub-1" / "anat" / "sub-1_T1w.nii", source)
    assert uri == "bids:source:sub-1/anat/sub-1_T1w.nii"


def test_somebody_s_data_set_is_left_alone(tmp_path):
    description = tmp_path / "dataset_description.json"
    description.write_text('{"Name": "raw", "BIDSVersion": "1.8.0"}')
    with (
        pytest.raises(RunFolderError, match="did not make; give --out"),
        derivatives_folder(tmp_path, tmp_path),
    ):
        pass
    assert json.loads(description.read_text())["Name"] == "raw"
    assert list(tmp_path.iterdir()) == [description]


def test_a_folder_of_subjects_without_a_description_is_left_alone(tmp_path):
    (tmp_path / "sub-1").mkdir()
    with (
        pytest.raises(RunFolderError, match="holds subjects"),
        derivatives_folder(tmp_path, tmp_path),
    ):
        pass


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    (tmp_path / ".writing-abc").mkdir()
    (tmp_path / ".writing-abc" / "0").write_bytes(b"half a volume")
    with derivatives_folder(tmp_path, tmp_path):
        pass
    assert not (tmp_path / ".writing-abc").exists()


def test_a_second_run_waits_for_the_first(tmp_path):
    order = []

    def second():
        with derivatives_folder(tmp_path, tmp_path):
            order.append("second")

    with derivatives_folder(tmp_path, tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunFolderError, match="cannot write"),
        derivatives_folder(tmp_path / "file" / "out", Path()),
    ):
        pass
