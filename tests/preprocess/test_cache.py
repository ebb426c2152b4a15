"""Cache: complete entries or none, one for each scan and configuration."""

from dataclasses import replace

import numpy as np
import pytest

from brainage.errors import RunFolderError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import GridConfig, IntensityConfig, PreprocessConfig
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.state import BiasField, Brain, ScanState

SHA = "ab" * 32


def result():
    rng = np.random.default_rng(0)
    mask = rng.random((5, 7, 9)) > 0.5
    return PreprocessedScan(
        volume_XYZ=np.where(mask, rng.normal(size=mask.shape), 0).astype(np.float32),
        mask_XYZ=mask,
        affine=np.diag([4.0, 4, 4, 1]),
        scan_to_template=rng.normal(size=(4, 4)),
        quality={"template_dice": 0.9},
        seconds={"grid": 0.1},
        brain_source="deepbet",
    )


@pytest.fixture
def cache(tmp_path):
    return PreprocessCache(tmp_path / "cache", PreprocessConfig())


def stored(cache):
    key = cache.key(SHA)
    cache.store(key, result())
    return key


def test_an_entry_comes_back_bit_for_bit(cache):
    loaded, expected = cache.load(stored(cache)), result()
    for name in ("volume_XYZ", "mask_XYZ", "affine", "scan_to_template"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(expected, name))
        assert getattr(loaded, name).dtype == getattr(expected, name).dtype
    assert (loaded.quality, loaded.seconds) == (expected.quality, expected.seconds)
    assert loaded.brain_source == expected.brain_source


def test_an_absent_entry_is_none(cache):
    assert cache.load(cache.key(SHA)) is None


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_entry_is_not_trusted_but_deleted(cache, caplog, kept):
    key = stored(cache)
    content = cache.path(key).read_bytes()
    cache.path(key).write_bytes(content[: int(len(content) * kept)])
    assert cache.load(key) is None
    assert not cache.path(key).exists()
    assert "damaged cache entry" in caplog.text


def test_no_flipped_byte_changes_a_result_unseen(cache):
    key = stored(cache)
    content, expected = cache.path(key).read_bytes(), result()
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        cache.path(key).write_bytes(damaged)
        loaded = cache.load(key)
        if loaded is not None:  # A byte that carries no content, such as a date in the zip.
            np.testing.assert_array_equal(loaded.volume_XYZ, expected.volume_XYZ)
            np.testing.assert_array_equal(loaded.mask_XYZ, expected.mask_XYZ)
            assert loaded.quality == expected.quality


def test_an_entry_under_another_scans_name_is_not_trusted(cache, caplog):
    other = cache.key("cd" * 32)
    cache.path(stored(cache)).rename(cache.path(other))
    assert cache.load(other) is None
    assert "belongs to another key" in caplog.text


def test_a_write_that_fails_leaves_nothing_behind(cache):
    broken = replace(result(), quality={"template_dice": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        cache.store(cache.key(SHA), broken)
    unpicklable = replace(result(), affine=np.array([object()]))
    with pytest.raises(ValueError, match="pickle"):
        cache.store(cache.key(SHA), unpicklable)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_an_interrupted_write_keeps_the_old_entry(cache, monkeypatch):
    key = stored(cache)
    before = cache.path(key).read_bytes()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.store(key, replace(result(), brain_source="none"))
    assert cache.path(key).read_bytes() == before
    assert len(list(cache.folder.glob("*.npz"))) == len(list(cache.folder.glob("[.a-z0-9]*"))) - 1


def test_every_setting_is_part_of_the_key(tmp_path):
    configs = [
        PreprocessConfig(),
        PreprocessConfig(grid=GridConfig(spacing_mm=3.0, shape_XYZ=(56, 64, 56))),
        PreprocessConfig(intensity=IntensityConfig(clip=4.0)),
    ]
    assert len({PreprocessCache(tmp_path, config).key(SHA) for config in configs}) == 3


def findings(make):
    scan = replace(make.as_scan(make.moved_brain()), sha256=SHA)
    mask = np.random.default_rng(0).random((6, 5, 7)) > 0.5
    return ScanState(
        scan,
        brain=Brain(mask, np.array([3, 4, 5]), "deepbet"),
        bias=BiasField(np.ones((2, 2, 3), np.float32) / 3, np.array([3, 3, 3])),
        scan_to_template=np.random.default_rng(1).normal(size=(4, 4)),
        quality={"scale": 1.1},
    )


@pytest.mark.parametrize("with_bias", [True, False])
def test_findings_come_back_bit_for_bit_for_another_grid(tmp_path, make, with_bias):
    state = findings(make)
    state = state if with_bias else replace(state, bias=None)
    PreprocessCache(tmp_path, PreprocessConfig()).store_findings(state, {"registration": 1.0})
    finer = PreprocessConfig(grid=GridConfig(spacing_mm=3.0, shape_XYZ=(56, 64, 56)))
    loaded, seconds = PreprocessCache(tmp_path, finer).load_findings(state.scan)
    np.testing.assert_array_equal(loaded.brain.mask_XYZ, state.brain.mask_XYZ)
    np.testing.assert_array_equal(loaded.brain.start_XYZ, state.brain.start_XYZ)
    np.testing.assert_array_equal(loaded.scan_to_template, state.scan_to_template)
    assert (loaded.bias is None) == (not with_bias)
    if with_bias:
        np.testing.assert_array_equal(loaded.bias.log_XYZ, state.bias.log_XYZ)
        np.testing.assert_array_equal(loaded.bias.block_XYZ, state.bias.block_XYZ)
    assert (loaded.quality, seconds) == (state.quality, {"registration": 1.0})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(RunFolderError, match="cache"):
        PreprocessCache(tmp_path / "cache", PreprocessConfig())
