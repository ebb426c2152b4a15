"""Rows of finished fits on disk: one line each, there once the fit is done."""

import json
import os
from pathlib import Path

from brainage.config.images import ImagesConfig, fit_fingerprint
from brainage.errors import RunFolderError
from brainage.workflows.images.fit import ImageFit, fit_from_json


class RowFile:
    """The rows of a panel, for the one process that adds to them.

    A torn last line, as a kill leaves it, is cut off. A fit whose process died is not done: it may
    have had too little memory.

    Args:
        path: the file, made with the first row.

    Raises:
        RunFolderError: if it cannot be read, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = _read(path, repairs=True)

    def find(
        self, method: str, candidate: str, seed: int, fingerprint: str, *, tested: bool
    ) -> ImageFit | None:
        """The row of a fit, if it is done: with its test error, where that is wanted."""
        for row in reversed(self._rows):
            same = (row.method, row.candidate, row.seed) == (method, candidate, seed)
            if same and row.fingerprint == fingerprint:
                done = row.failed or not tested or row.test_error_percent is not None
                if done and not row.died:
                    return row
        return None

    def add(self, row: ImageFit) -> None:
        """Take a row; it is on disk when this returns.

        Raises:
            RunFolderError: if it cannot be written.
        """
        self._rows.append(row)
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row.to_json()) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise RunFolderError(f"{self._path}: cannot write: {error.strerror}") from error


def file_name(text: str) -> str:
    """A method's name as part of a folder's; different names stay different."""
    return "".join(c if c.isalnum() or c in ".-" else f"_{ord(c):x}_" for c in text)


def table_rows(path: Path, config: ImagesConfig, digest: str | None) -> list[ImageFit]:
    """The rows of a panel's table so far, one for each method and seed.

    Of several the latest with a test error counts, else the latest failed one. Fits of a search,
    which test images were not shown to, are left out, and so are those of other images or
    settings. The file stays as it is: its panel may be running.

    Args:
        path: of the rows.
        config: of the panel.
        digest: of its images; None counts fits of any.

    Raises:
        RunFolderError: if the file cannot be read, or holds something else.
    """
    rows: dict[tuple[str, int], ImageFit] = {}
    for row in _read(path, repairs=False):
        place = (row.method, row.seed)
        tested = row.test_error_percent is not None
        known = rows.get(place)
        counts = tested or (row.failed and (known is None or known.failed))
        if counts and (digest is None or row.fingerprint == _fingerprint(row, config, digest)):
            rows[place] = row
    return list(rows.values())


def _fingerprint(row: ImageFit, config: ImagesConfig, digest: str) -> str | None:
    """What a row of today's settings and images would have; None of a method that is not there."""
    if row.method not in config.methods or row.candidate not in config.candidates:
        return None
    return fit_fingerprint(config, config.recipe_of(row.method, row.candidate), digest)


def _read(path: Path, *, repairs: bool) -> list[ImageFit]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot read: {error}") from error
    whole, end, torn = text.rpartition("\n")
    if torn and repairs:
        os.truncate(path, len(f"{whole}{end}".encode()))
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            rows.append(fit_from_json(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise RunFolderError(f"{path}: line {number} is damaged: {error}") from error
    return rows
