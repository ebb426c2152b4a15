"""The files of an explanation."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from brainage.bundle.model import ModelBundle
from brainage.derivatives.files import nifti_bytes, write_together
from brainage.errors import RunFolderError
from brainage.explain.atlas import make_atlas
from brainage.explain.blocks import BlockAnswers
from brainage.explain.config import METHODS
from brainage.explain.landmarks import REGIONS
from brainage.explain.maps import SaliencyMap
from brainage.explain.picture import Pictured, peak_mm, picture
from brainage.explain.regions import RegionRow, region_rows, shares_by_region, table_text
from brainage.explain.scan_space import to_scan_grid
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.state import Image, Matrix
from brainage.workflows.out_folder import refuse_foreign_folder

EXPLANATION = Path("explanation.json")
REGIONS_TABLE = Path("regions.csv")
PICTURE = Path("picture.png")
# NIfTI's code for coordinates of the scanner.
_SCANNER = 1


@dataclass(frozen=True, kw_only=True)
class ScanGrid:
    """The scan's own voxels, in the order of its file."""

    shape_XYZ: tuple[int, ...]
    affine: Matrix


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Everything that was found about a scan."""

    preprocessed: PreprocessedScan
    grid: ScanGrid
    maps: tuple[SaliencyMap, ...]
    networks: tuple[tuple[str, list[BlockAnswers]], ...]
    facts: dict[str, Any]
    title: str
    explained_age: float


def map_names(method: str) -> tuple[Path, Path]:
    """Files of a map on the template's grid and on the scan's."""
    return Path(f"template_{method}.nii.gz"), Path(f"scan_{method}.nii.gz")


def prepare_folder(out: Path, scan: Path) -> None:
    """Make the folder, and take away what an earlier explanation left in it.

    Nobody should find the maps of another scan, or of another model, beside this one's.

    Args:
        out: the folder.
        scan: what is explained; a scan with the name of a map in this folder would be taken away.

    Raises:
        RunFolderError: if it is a file, holds a run, a model or such a scan, or cannot be written.
    """
    refuse_foreign_folder(out, "explanation")
    names = [EXPLANATION, REGIONS_TABLE, PICTURE]
    names += [name for method in METHODS for name in map_names(method)]
    if scan.resolve() in {(out / name).resolve() for name in names}:
        raise RunFolderError(f"{scan}: would be replaced by a map; give --out another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in names:
            (out / path).unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot write: {error.strerror or error}") from error


def write_failure(out: Path, facts: Mapping[str, Any]) -> None:
    """Say in ``explanation.json`` why there is nothing else."""
    write_together(out, {EXPLANATION: _json_bytes(facts)})


def write_explanation(out: Path, found: Explained, bundle: ModelBundle) -> dict[str, Any]:
    """Write all files; ``explanation.json`` comes last and vouches for the others.

    Returns:
        Its content.
    """
    scan, files = found.preprocessed, {}
    spacing_mm = bundle.config.preprocess.grid.spacing_mm
    atlas = make_atlas(scan.affine, scan.volume_XYZ.shape)
    rows: list[RegionRow] = []
    described = {}
    for each in found.maps:
        on_template, on_scan = map_names(each.method)
        values_XYZ = each.values_XYZ.astype(np.float32)
        files[on_template] = nifti_bytes(values_XYZ, scan.affine)
        files[on_scan] = _scan_map(values_XYZ, found)
        own = region_rows(each.method, values_XYZ, each.mask_XYZ, atlas, spacing_mm**3 / 1000)
        rows += own
        place_mm = peak_mm(each, scan.affine)
        voxel = np.rint(np.linalg.solve(scan.affine, [*place_mm, 1.0])[:3]).astype(int)
        described[each.method] = {
            "unit": each.unit,
            "sign": "positive makes the brain look older",
            "files": [str(on_template), str(on_scan)],
            **each.facts,
            "strongest_place_mm": [round(float(value), 1) for value in place_mm],
            "strongest_place_region": REGIONS[atlas.region_XYZ[tuple(voxel)]],
            "share_by_region": shares_by_region(own),
            "sanity": {**asdict(each.sanity), "passed": each.sanity.passed},
        }
    files[REGIONS_TABLE] = table_text(rows).encode()
    shown = Pictured(
        title=found.title,
        volume_XYZ=scan.volume_XYZ,
        affine=scan.affine,
        maps=found.maps,
        networks=found.networks,
        answer_years=found.explained_age,
    )
    files[PICTURE] = picture(shown)
    content = {
        **found.facts,
        **_blocks(found.networks),
        "maps": described,
        "grid": {"spacing_mm": spacing_mm, "shape_XYZ": list(scan.volume_XYZ.shape)},
        "brain_source": scan.brain_source,
        "versions": {name: version(name) for name in ("brainage", "torch", "captum", "monai")},
    }
    files[EXPLANATION] = _json_bytes(content)
    write_together(out, files)
    return content


def _scan_map(values_XYZ: Image, found: Explained) -> bytes:
    """The map on the scan's grid; nothing of the scan's header but shape and affine."""
    scan, grid = found.preprocessed, found.grid
    data_XYZ = to_scan_grid(
        values_XYZ, scan.affine, scan.scan_to_template, grid.shape_XYZ, grid.affine
    )
    image = nib.Nifti1Image(data_XYZ, grid.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(grid.affine, _SCANNER)
    image.set_qform(grid.affine, _SCANNER)
    # Without name and time the same map is the same file.
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)


def _blocks(networks: tuple[tuple[str, list[BlockAnswers]], ...]) -> dict[str, Any]:
    """Ages by block and by worker: means over the networks, and each network's own."""
    by_block: dict[str, list[float]] = {}
    by_worker: dict[str, list[tuple[float, ...]]] = {}
    for _, blocks in networks:
        for block in blocks:
            if block.head_years is not None:
                by_block.setdefault(str(block.block), []).append(block.head_years)
            if block.worker_years:
                by_worker.setdefault(str(block.block), []).append(block.worker_years)
    return {
        "by_block": {name: float(np.mean(ages)) for name, ages in by_block.items()},
        # Networks may differ in their number of workers: then only each network's own are told.
        "by_worker": {
            name: np.mean(ages, axis=0).tolist()
            for name, ages in by_worker.items()
            if len({len(each) for each in ages}) == 1
        },
        "networks": [
            {"name": name, "blocks": [asdict(block) for block in blocks]}
            for name, blocks in networks
        ],
    }


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
