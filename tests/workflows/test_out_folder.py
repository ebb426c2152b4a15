"""Results do not land among the files of a run, a model or a data set."""

import pytest

from brainage.errors import RunFolderError
from brainage.workflows.out_folder import refuse_foreign_folder


@pytest.mark.parametrize("name", ["config.yaml", "model.yaml"])
@pytest.mark.parametrize("with_data_sets", [False, True])
def test_the_folder_of_a_run_or_a_model_is_refused(tmp_path, name, with_data_sets):
    (tmp_path / name).touch()
    with pytest.raises(RunFolderError, match=rf"holds a run.* a model.* \({name}\); give --out"):
        refuse_foreign_folder(tmp_path, "results", with_data_sets=with_data_sets)


@pytest.mark.parametrize("name", ["dataset_description.json", "participants.tsv"])
def test_that_of_a_data_set_is_refused_where_asked(tmp_path, name):
    (tmp_path / name).touch()
    refuse_foreign_folder(tmp_path, "results")
    with pytest.raises(RunFolderError, match="holds a run, a model or a data set"):
        refuse_foreign_folder(tmp_path, "results", with_data_sets=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="is a file, not a folder for the explanation"):
        refuse_foreign_folder(tmp_path / "file", "explanation")


def test_other_files_are_no_hindrance_and_nothing_is_made(tmp_path):
    (tmp_path / "notes.txt").touch()
    refuse_foreign_folder(tmp_path, "results", with_data_sets=True)
    refuse_foreign_folder(tmp_path / "new", "results")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
