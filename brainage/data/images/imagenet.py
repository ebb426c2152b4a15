"""ImageNet (ILSVRC2012): a list of files and labels; images are opened when they are needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brainage.errors import DataError

NUM_CLASSES = 1000
NUM_TRAIN, NUM_VALIDATION = 1_281_167, 50_000
DEVKIT = "ILSVRC2012_devkit_t12"
_SUFFIXES = (".jpeg", ".jpg", ".png")
_FIRST_VALIDATION = "ILSVRC2012_val_00000001.JPEG"

Part = Literal["train", "val"]


@dataclass(frozen=True)
class ImageFiles:
    """Images on disk: ``paths`` and one label, from 0, for each."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    original: bool
    note: str

    def __len__(self) -> int:
        return len(self.labels)


def read_imagenet(folder: Path, part: Part) -> ImageFiles:
    """The files of one part. A label is the place of the class in the sorted WordNet numbers.

    Args:
        folder: holds ``train/<wnid>/`` and ``val/<wnid>/``, or ``val/`` with the 50,000 files as
            they were published beside the development kit ``ILSVRC2012_devkit_t12``.
        part: ``train`` or ``val``.

    Raises:
        DataError: if the part is not there, or its labels are not.
    """
    place = folder / part
    if not place.is_dir():
        raise DataError(
            f"{place}: no such folder; put ILSVRC2012 of image-net.org there, as "
            f"{part}/<wnid>/*.JPEG, or name the folder that holds it with data.root"
        )
    names = _class_folders(place)
    if names:
        paths, labels = _by_folder(place, names)
    elif part == "val" and (place / _FIRST_VALIDATION).is_file():
        names, paths, labels = _by_devkit(folder)
    else:
        raise DataError(
            f"{place}: expected folders named after WordNet numbers (n01440764), or, of val, files "
            f"named like {_FIRST_VALIDATION} beside {DEVKIT}"
        )
    expected = NUM_TRAIN if part == "train" else NUM_VALIDATION
    complete = (len(names), len(paths)) == (NUM_CLASSES, expected)
    note = f"a sample: {len(paths)} images of {len(names)} classes"
    if complete:
        note = "the original images; tested on the validation part, whose labels are public"
    return ImageFiles(tuple(paths), tuple(labels), names, complete, note)


def _class_folders(place: Path) -> tuple[str, ...]:
    folders = (entry.name for entry in place.iterdir() if entry.is_dir())
    return tuple(sorted(name for name in folders if name[:1] == "n" and name[1:].isdigit()))


def _by_folder(place: Path, names: Sequence[str]) -> tuple[list[Path], list[int]]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (place / name).iterdir() if p.suffix.lower() in _SUFFIXES)
        if not found:
            raise DataError(f"{place / name}: expected images, got an empty folder")
        paths += found
        labels += [label] * len(found)
    return paths, labels


def _by_devkit(folder: Path) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """The validation files in the order of their names, and their labels by the kit's two files."""
    kit = folder / DEVKIT / "data"
    wnid_of = _kit_classes(kit / "meta.mat")
    truth = kit / "ILSVRC2012_validation_ground_truth.txt"
    try:
        numbers = [int(line) for line in truth.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise DataError(f"{truth}: cannot be read: {error}") from error
    names = tuple(sorted(wnid_of.values()))
    label_of = {name: label for label, name in enumerate(names)}
    paths = [
        folder / "val" / f"ILSVRC2012_val_{number:08d}.JPEG"
        for number in range(1, len(numbers) + 1)
    ]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(f"{missing[0]}: is missing, one of {len(missing)} of {len(paths)} images")
    try:
        return names, paths, [label_of[wnid_of[number]] for number in numbers]
    except KeyError as error:
        raise DataError(f"{truth}: names the class {error}, which meta.mat does not") from error


def _kit_classes(path: Path) -> dict[int, str]:
    """WordNet number of each of the kit's own class numbers, 1 to 1000."""
    from scipy.io import loadmat  # noqa: PLC0415 - only this layout needs it

    try:
        synsets = loadmat(str(path), squeeze_me=True)["synsets"].reshape(-1)
        rows = [(int(row["ILSVRC2012_ID"]), str(row["WNID"])) for row in synsets]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as the kit's table of classes: {error}") from error
    return {number: name for number, name in rows if number <= NUM_CLASSES}
