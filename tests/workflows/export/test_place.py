"""Where an export goes: whole or not at all, and over nothing that is not asked for."""

import json

import pytest

from brainage.errors import RunFolderError
from brainage.workflows.export.place import check_place, put, staged


def monai_bundle(folder, text="old"):
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps({"brainage": text}))
    return folder


@pytest.mark.parametrize("taken", ["model.onnx", "model.onnx.preprocessing.yaml"])
def test_a_file_that_is_there_stays_without_force(tmp_path, taken):
    (tmp_path / taken).write_text("old")
    with pytest.raises(RunFolderError, match=rf"{taken}: exists; .*--force"):
        check_place(tmp_path / "model.onnx", is_folder=False, force=False)
    check_place(tmp_path / "model.onnx", is_folder=False, force=True)


def test_force_replaces_no_folder_but_a_monai_bundle_of_ours(tmp_path):
    (tmp_path / "scans").mkdir()
    with pytest.raises(RunFolderError, match="is no MONAI bundle of brainage"):
        check_place(tmp_path / "scans", is_folder=True, force=True)
    with pytest.raises(RunFolderError, match="is a folder"):
        check_place(tmp_path / "scans", is_folder=False, force=True)
    check_place(monai_bundle(tmp_path / "bundle"), is_folder=True, force=True)


def test_a_file_and_its_steps_appear_together(tmp_path):
    place = check_place(tmp_path / "new" / "model.onnx", is_folder=False, force=False)
    with staged(place) as at:
        at.write_text("model")
        assert not place.out.exists()
        put(at, place, "steps")
    names = sorted(path.name for path in place.out.parent.iterdir())
    assert names == ["model.onnx", "model.onnx.preprocessing.yaml"]
    assert place.preprocessing.read_text() == "steps"


def test_a_bundle_takes_the_place_of_another_as_a_whole(tmp_path):
    out = monai_bundle(tmp_path / "bundle")
    (out / "left_over").write_text("")
    place = check_place(out, is_folder=True, force=True)
    with staged(place) as at:
        put(monai_bundle(at, "new"), place, None)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert [path.name for path in out.iterdir()] == ["configs"]
    assert "new" in (out / "configs" / "metadata.json").read_text()


def test_what_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "model.onnx").write_text("old")
    place = check_place(tmp_path / "model.onnx", is_folder=False, force=True)

    def fail():
        with staged(place) as at:
            at.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    place = check_place(tmp_path / "file" / "model.onnx", is_folder=False, force=False)
    with pytest.raises(RunFolderError, match="cannot write"), staged(place):
        pass
