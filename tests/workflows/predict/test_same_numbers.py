"""Order, number of processes, batches and what was predicted before change no bit; nor memory."""

import resource
import shutil
from dataclasses import replace

import pytest
import torch

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.load import load_bundle
from brainage.scans.source import find_scans
from brainage.workflows.predict import stream
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.stream import predict_each
from tests.workflows.predict.killed import StandIn
from tests.workflows.tiny import sample_scan

SUBJECTS = ("sub-ds00274801", "sub-ds00274802", "sub-ds00274865")


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DEMONSTRATION)


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Records of many scans whose volumes are made without preprocessing."""
    monkeypatch.setattr(stream, "MakeVolume", lambda keep: StandIn(tmp_path / "log", hurry=True))

    def make(count):
        folder = tmp_path / f"scans{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.nii").touch()
        return find_scans(folder).records

    return make


def ages_of(records, bundle, **options):
    rows = predict_each(records, bundle, PredictOptions(**options))
    return {row.scan: (row.predicted_age, row.spread_views) for _, row in rows}


def test_a_batch_changes_no_bit_on_a_cpu(bundle, stand_ins):
    records = stand_ins(6)
    alone = ages_of(records, bundle, device="cpu")
    assert ages_of(records[::-1], bundle, device="cpu", batch_size=4) == alone
    assert ages_of(records[2:], bundle, device="cpu", batch_size=8).items() <= alone.items()


def test_a_batch_of_the_bundle_is_its_volumes_one_by_one(bundle):
    shape = bundle.input_shape[1:]
    volumes = [torch.randn(shape, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    arrays = [volume.numpy() for volume in volumes]
    together = bundle.predict_together(arrays)
    assert together == [bundle.predict(array) for array in arrays]
    assert len({said.age_years for said in together}) == 3


@pytest.mark.slow
def test_order_and_processes_change_no_bit_of_real_scans(bundle, tmp_path):
    for number, subject in enumerate(SUBJECTS):
        (tmp_path / f"{number}").mkdir()
        shutil.copy(sample_scan(subject), tmp_path / f"{number}" / "T1w.nii.gz")
    records = find_scans(tmp_path).records
    expected = ages_of(records, bundle)
    assert len(set(expected.values())) == len(SUBJECTS)
    assert ages_of(records[::-1], bundle) == expected
    assert ages_of(records, bundle, jobs=2, batch_size=2) == expected
    assert ages_of(records[1:2], bundle)[str(records[1].scan)] == expected[str(records[1].scan)]


@pytest.mark.slow
def test_the_memory_of_a_thousand_rows_is_that_of_a_hundred(bundle, stand_ins):
    one_view = replace(
        bundle,
        config=replace(
            bundle.config, inference=replace(bundle.config.inference, test_time_augmentation=1)
        ),
    )
    peak = {}
    for index, _ in predict_each(stand_ins(1000), one_view, PredictOptions(device="cpu")):
        peak[index + 1] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak[1000] - peak[100] < 16 * 2**20
