"""Programs that are not ours: called as their manuals say, refused in one line when they fail.

The programs here are stand-ins: they threshold, and write what the real ones would write.
"""

import sys

import numpy as np
import pytest

from brainage.errors import MissingPackage, ScanError
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import BrainExtractionConfig
from brainage.preprocess.external_extraction import hd_bet_mask, synthstrip_mask
from brainage.preprocess.state import ScanState

THRESHOLD = """#!{python}
import sys
import nibabel as nib
words = sys.argv[1:]
source, target = words[words.index("-i") + 1], words[words.index({option!r}) + 1]
{check}
image = nib.load(source)
mask = (image.get_fdata() > 100).astype("uint8")[{crop}]
nib.Nifti1Image(mask, image.affine).to_filename(target{rename})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a program on PATH, which then holds nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    python = sys.orig_argv[0] if sys.orig_argv[0].startswith("/") else sys.prefix + "/bin/python"

    def write(name, option, *, check="", crop=":", rename="", text=THRESHOLD):
        path = folder / name
        path.write_text(
            text.format(python=python, option=option, check=check, crop=crop, rename=rename)
        )
        path.chmod(0o755)

    return write


HD_BET = {
    "option": "-o",
    "check": 'assert {"--disable_tta", "--save_bet_mask", "-device"} <= set(words)',
    "rename": '[:-len(".nii.gz")] + "_bet.nii.gz"',
}


def test_hd_bet_leaves_its_mask_beside_the_output(make, install):
    install("hd-bet", **HD_BET)
    scan = make.as_scan(make.moved_brain())
    np.testing.assert_array_equal(hd_bet_mask(scan), scan.data_XYZ > 100)


@pytest.mark.parametrize("name", ["mri_synthstrip", "nipreps-synthstrip"])
def test_synthstrip_is_freesurfers_or_that_of_nipreps(make, install, name):
    install(name, "-m")
    scan = make.as_scan(make.moved_brain())
    np.testing.assert_array_equal(synthstrip_mask(scan), scan.data_XYZ > 100)


def test_the_step_uses_the_configured_program(make, install):
    install("mri_synthstrip", "-m")
    config = BrainExtractionConfig(method="synthstrip", recognise_stripped=False)
    state = ExtractBrain(config)(ScanState(make.as_scan(make.moved_brain())))
    assert state.brain.source == "synthstrip"


@pytest.mark.parametrize(
    ("method", "find"), [("hd-bet", hd_bet_mask), ("synthstrip", synthstrip_mask)]
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    make, install, method, find
):
    with pytest.raises(MissingPackage, match=rf"pip install 'brainage\[{method}\]'"):
        find(make.as_scan(make.moved_brain()))


def test_a_program_that_fails_costs_the_scan_with_its_last_words(make, install):
    install("hd-bet", "-o", check='sys.exit("no weights here")')
    with pytest.raises(ScanError, match=r"hd-bet gave no mask \(exit code 1\).*no weights here"):
        hd_bet_mask(make.as_scan(make.moved_brain()))


def test_a_mask_on_another_grid_is_refused(make, install):
    install("hd-bet", **HD_BET, crop="1:")
    with pytest.raises(ScanError, match="expected a mask of"):
        hd_bet_mask(make.as_scan(make.moved_brain()))


def test_no_file_is_left(make, install, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    install("hd-bet", **HD_BET)
    hd_bet_mask(make.as_scan(make.moved_brain()))
    assert list(place.iterdir()) == []
