"""Make the sample ``open_t1w`` from the open cohort: choose subjects, bring scans to 2 mm.

    python data_manifests/build_open_t1w.py $BRAINAGE_DATA/t1w

The same input gives the same bytes: scans already at 2 mm are copied, the others are low-pass
filtered, resampled to 2 mm and scaled to 8 bits, and no file carries a name or a time.
"""

import argparse
import csv
import gzip
import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from brainage.scans.manifest import ScanRecord, write_manifest

SCANS_OF_STUDY = {"ds000011": 6, "ds000228": 24, "ds002748": 18}
UNSEEN = {"sub-ds000228pixar080", "sub-ds00274865"}
SPACING_MM = 2.0
YEARS_PER_BIN = 5
SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


class Person(NamedTuple):
    """One row of a study's participants.tsv."""

    study: str
    original_id: str
    age: str
    sex: str
    group: str

    @property
    def subject(self) -> str:
        """Name that stays unique across studies."""
        return f"sub-{self.study}{self.original_id.removeprefix('sub-')}"


def read_people(folder: Path) -> list[Person]:
    """The participants of one study."""
    with (folder / "participants.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Person(folder.name, row["participant_id"], row["age"], row["sex"], row.get("group", "n/a"))
        for row in rows
    ]


def choose(people: list[Person], count: int) -> list[Person]:
    """Choose people evenly over age bin and sex: one of each cell in turn, the fullest first.

    Within a cell controls come before patients, and a hash decides between equals. The youngest,
    the oldest and the two unseen people always belong.
    """
    by_age = sorted(people, key=lambda person: (float(person.age), person.original_id))
    always = [by_age[0], by_age[-1], *(person for person in people if person.subject in UNSEEN)]
    cells: dict[tuple[int, str], list[Person]] = {}
    for person in people:
        cells.setdefault((int(float(person.age)) // YEARS_PER_BIN, person.sex), []).append(person)
    for cell in cells.values():
        cell.sort(key=lambda p: (p.group == "depr", hashlib.sha256(p.subject.encode()).digest()))
    full_first = sorted(cells.values(), key=len, reverse=True)
    turns = [cell[turn] for turn in range(len(people)) for cell in full_first if turn < len(cell)]
    return list(dict.fromkeys([*always, *turns]))[:count]


def write_scan(source: Path, target: Path) -> None:
    """Copy a scan that is at 2 mm, else write it resampled to 2 mm in 8 bits."""
    image = nib.Nifti1Image.from_filename(source)
    spacing_mm = np.array(image.header.get_zooms()[:3], dtype=np.float64)
    target.parent.mkdir(parents=True)
    if np.allclose(spacing_mm, SPACING_MM, atol=0.02):
        shutil.copyfile(source, target)
        return
    volume_XYZ, affine = resample(image.get_fdata(), image.affine, spacing_mm)
    brightest = np.percentile(volume_XYZ[volume_XYZ > 0], 99.9)
    eight_bits = np.clip(np.rint(volume_XYZ / brightest * 255), 0, 255).astype(np.uint8)
    resampled = nib.Nifti1Image(eight_bits, affine)
    resampled.header.set_xyzt_units("mm")
    resampled.set_sform(affine, code=1)
    resampled.set_qform(affine, code=1)
    # an empty name and time 0, so that equal scans are equal files
    with target.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(resampled.to_bytes())


def resample(
    volume_XYZ: np.ndarray, affine: np.ndarray, spacing_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Resample to 2 mm along the scan's own axes, keeping its centre.

    The Gaussian filter before it widens a voxel of the old size to one of the new size (full
    widths at half maximum, added in squares), so nothing finer than the new grid is left to alias.
    """
    step = SPACING_MM / spacing_mm
    smooth_XYZ = ndimage.gaussian_filter(volume_XYZ, np.sqrt(step**2 - 1) * SIGMA_PER_FWHM)
    old_shape = np.array(volume_XYZ.shape)
    shape = np.rint(old_shape / step).astype(int)
    offset = (old_shape - 1) / 2 - step * (shape - 1) / 2
    result_XYZ = ndimage.affine_transform(
        smooth_XYZ, np.diag(step), offset, output_shape=tuple(shape), order=1, mode="nearest"
    )
    to_old = np.diag([*step, 1.0])
    to_old[:3, 3] = offset
    return result_XYZ, affine @ to_old


def write_participants(people: list[Person], path: Path) -> None:
    """participants.tsv with the accession and the original name of everyone."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        header = ("participant_id", "age", "sex", "site", "accession", "original_id", "group")
        writer.writerow(header)
        for person in people:
            own = (person.subject, person.age, person.sex, person.study)
            writer.writerow([*own, person.study, person.original_id, person.group])


def main() -> None:
    """Build the sample beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cohort", type=Path, help="folder that holds ds000011, ds000228, ds002748")
    cohort = parser.parse_args().cohort
    folder = Path(__file__).resolve().parent / "open_t1w"
    for old in folder.glob("sub-*"):
        shutil.rmtree(old)
    people = sorted(
        person
        for study, count in SCANS_OF_STUDY.items()
        for person in choose(read_people(cohort / study), count)
    )
    records = []
    for person in people:
        name = person.original_id
        target = folder / person.subject / "anat" / f"{person.subject}_T1w.nii.gz"
        write_scan(cohort / person.study / name / "anat" / f"{name}_T1w.nii.gz", target)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        age_years = float(person.age)
        record = ScanRecord(
            target, person.subject, None, age_years, person.sex, person.study, digest
        )
        records.append(record)
    write_participants(people, folder / "participants.tsv")
    seen = [record for record in records if record.subject not in UNSEEN]
    unseen = [record for record in records if record.subject in UNSEEN]
    write_manifest(seen, folder / "manifest.csv", folder)
    write_manifest(unseen, folder / "unseen.csv", folder)


if __name__ == "__main__":
    main()
