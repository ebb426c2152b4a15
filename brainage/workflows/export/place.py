"""Where an export goes: whole or not at all, and over nothing that is not asked for."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brainage.errors import RunFolderError
from brainage.export.monai_bundle import is_monai_bundle, zip_folder

_STAGING = ".exporting-"


@dataclass(frozen=True, kw_only=True)
class Place:
    """The files of one export.

    ``steps`` is the file of preprocessing steps beside a model of one file; None where the model
    is a folder, or a ``zipped`` one, that holds it.
    """

    out: Path
    steps: Path | None
    zipped: bool

    @property
    def preprocessing(self) -> Path:
        """Where the steps are found; of a zip file, after it is unpacked beside."""
        folder = self.out.with_suffix("") if self.zipped else self.out
        return self.steps or folder / "configs" / "preprocessing.yaml"


def check_place(out: Path, *, is_folder: bool, force: bool) -> Place:
    """Refuse a place that is taken, before any work is done.

    Args:
        out: what the user named.
        is_folder: whether the format is a folder; ``.zip`` packs it.
        force: replace what is there.

    Raises:
        RunFolderError: if it is taken, or would not be replaced by its like.
    """
    zipped = is_folder and out.suffix.lower() == ".zip"
    steps = None if is_folder else out.with_name(f"{out.name}.preprocessing.yaml")
    if out.is_dir() and (zipped or not is_folder):
        raise RunFolderError(f"{out}: is a folder; give --out the name of a file")
    for path in (out, steps):
        if path is not None and os.path.lexists(path) and not force:
            raise RunFolderError(f"{path}: exists; give --out another name, or --force")
    if is_folder and not zipped and os.path.lexists(out) and not is_monai_bundle(out):
        raise RunFolderError(f"{out}: is no MONAI bundle of brainage, so --force leaves it alone")
    return Place(out=out, steps=steps, zipped=zipped)


@contextmanager
def staged(place: Place) -> Iterator[Path]:
    """A name in a folder of its own beside the place, to write to; it goes when the body ends.

    Raises:
        RunFolderError: if nothing can be written there.
    """
    try:
        place.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.out.parent, prefix=_STAGING) as folder:
            yield Path(folder) / place.out.stem
    except OSError as error:
        raise RunFolderError(f"{place.out}: cannot write: {error.strerror or error}") from error


def put(staged_at: Path, place: Place, steps_text: str | None) -> None:
    """Move what was written to its place.

    Args:
        staged_at: as ``staged`` gave it.
        place: where it goes.
        steps_text: content of the file beside it, if there is one.
    """
    if place.steps is not None and steps_text is not None:
        part = staged_at.with_name("steps")
        part.write_text(steps_text, encoding="utf-8")
        part.replace(place.steps)
    if place.zipped:
        packed = staged_at.with_name("packed.zip")
        zip_folder(staged_at, packed)
        packed.replace(place.out)
    elif staged_at.is_dir():
        _swap(staged_at, place.out)
    else:
        staged_at.replace(place.out)


def _swap(new: Path, out: Path) -> None:
    """Put a folder in the place of another, which cannot be done in one step."""
    old = new.with_name("replaced")
    if out.is_dir():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)
