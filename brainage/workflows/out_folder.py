"""Folders that results must not be written into: they hold something of somebody's."""

from pathlib import Path

from brainage.errors import RunFolderError

RUN_OR_MODEL = ("config.yaml", "model.yaml")
DATA_SET = ("dataset_description.json", "participants.tsv")


def refuse_foreign_folder(out: Path, results: str, *, with_data_sets: bool = False) -> None:
    """Refuse a folder whose own files results would be among, or replace.

    Args:
        out: where results are to go; need not be there.
        results: what they are, for the message.
        with_data_sets: refuse the folder of a BIDS data set, too.

    Raises:
        RunFolderError: if ``out`` is a file, or the folder of a run, a model or such a data set.
    """
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out}: is a file, not a folder for the {results}")
    known = "a run, a model or a data set" if with_data_sets else "a run or a model"
    for name in (*RUN_OR_MODEL, *(DATA_SET if with_data_sets else ())):
        if (out / name).exists():
            raise RunFolderError(f"{out}: holds {known} ({name}); give --out another folder")
