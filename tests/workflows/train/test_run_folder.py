import pytest

from brainage.errors import RunFolderError
from brainage.workflows.train.run_folder import (
    create_run_folder,
    open_run_folder,
    write_text,
)


def test_a_second_run_of_the_same_name_gets_its_own_folder(tmp_path):
    names = []
    for _ in range(3):
        folder = create_run_folder(tmp_path / "runs", "lfnn3d")
        names.append(folder.path.name)
        folder.close()
    assert names == ["lfnn3d", "lfnn3d-2", "lfnn3d-3"]


def test_one_process_at_a_time_has_a_run_folder(tmp_path):
    first = create_run_folder(tmp_path, "run")
    write_text(first.config, "name: run\n")
    with pytest.raises(RunFolderError, match="run: another process is using this run"):
        open_run_folder(first.path)
    first.close()
    second = open_run_folder(first.path)
    second.close()


def test_facts_outlive_the_process(tmp_path):
    folder = create_run_folder(tmp_path, "run")
    assert folder.recall() == {}
    folder.remember(mlflow_run_id="abc")
    folder.remember(mlflow_run_id_fold1="def")
    assert folder.recall() == {"mlflow_run_id": "abc", "mlflow_run_id_fold1": "def"}
    (folder.path / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"run\.json: damaged"):
        folder.recall()
    folder.close()


def test_there_has_to_be_a_run_to_resume(tmp_path):
    with pytest.raises(RunFolderError, match=r"no run to resume: config\.yaml is not there"):
        open_run_folder(tmp_path)


@pytest.mark.parametrize(
    ("in_the_way", "message"),
    [("runs", "runs/run: cannot create it: "), ("runs/run", "runs/run: is a file, not a folder")],
)
def test_a_file_in_the_way_is_named(in_the_way, message, tmp_path):
    path = tmp_path / in_the_way
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(RunFolderError, match=message):
        create_run_folder(tmp_path / "runs", "run")


def test_a_text_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(RunFolderError, match="target: cannot write: "):
        write_text(tmp_path / "target", "text")
    with pytest.raises(RunFolderError, match=r"gone/target: cannot write: No such file"):
        write_text(tmp_path / "gone" / "target", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_writing_replaces_the_whole_text(tmp_path):
    write_text(tmp_path / "a.txt", "a long text")
    write_text(tmp_path / "a.txt", "short")
    assert (tmp_path / "a.txt").read_text() == "short"
