"""Pictures as files: the one way in which all reports write theirs."""

from collections.abc import Mapping
from pathlib import Path

from brainage.errors import RunFolderError


def write_pngs(pictures: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write pictures as ``folder/NAME.png``.

    Args:
        pictures: PNG by name.
        folder: made when needed.

    Returns:
        The files, in the order of the pictures.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    paths = [folder / f"{name}.png" for name in pictures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, picture in zip(paths, pictures.values(), strict=True):
            path.write_bytes(picture)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written: {error.strerror}") from error
    return paths
