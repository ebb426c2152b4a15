"""The networks: the same mask whatever the number of threads."""

import numpy as np
import pytest
import torch

from brainage.preprocess.deepbet import deepbet_mask, deepbet_weights
from brainage.scans.nifti import read_scan


def mask_with_threads(data_XYZ, num_threads):
    torch.set_num_threads(num_threads)
    return deepbet_mask(data_XYZ)


@pytest.mark.slow
@pytest.mark.parametrize("study", ["ds000228", "ds000011", "ixi"])
def test_real_masks_do_not_depend_on_the_number_of_threads(make, study):
    paths = sorted((make.shared / study).glob("sub-*/anat/*_T1w.nii.gz"))
    if not paths:
        pytest.skip("needs ../shared/data")
    data_XYZ = read_scan(paths[0]).data_XYZ
    one, *others = (mask_with_threads(data_XYZ, count) for count in (1, 2, 3, 8))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_both_networks_are_inside_the_installed_package():
    assert all(path.is_file() for path in deepbet_weights())


def test_a_constant_volume_has_no_brain():
    assert deepbet_mask(np.ones((32, 32, 32), np.float32)) is None


def test_importing_it_needs_no_graphical_toolkit():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['customtkinter'] = None; sys.modules['tkinter'] = None;"
        "import brainage.preprocess.deepbet as d; d._network('bbox_model.pt'); "
        "assert 'deepbet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_torch_keeps_its_number_of_threads():
    torch.set_num_threads(2)
    deepbet_mask(np.ones((32, 32, 32), np.float32))
    assert torch.get_num_threads() == 2
