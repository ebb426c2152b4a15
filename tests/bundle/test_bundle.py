import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from brainage import __version__
from brainage.bundle.files import REQUIRED, model_hash
from brainage.bundle.load import load_bundle
from brainage.bundle.versions import RECORDED_PACKAGES
from brainage.config.yaml_text import read_yaml
from brainage.errors import ConfigError, RunFolderError
from tests.bundle.conftest import make_bundle, make_member
from tests.workflows.tiny import tiny_config


def test_a_model_answers_with_its_last_block_any_block_or_all_together(saved, volume):
    last = saved.predict(volume)
    second = saved.predict(volume, "block2")
    together = saved.predict(volume, "ensemble")
    assert second.age_years == last.by_block[2]
    assert set(second.by_block) == {1, 2}, "block 3 was not run"
    assert min(last.by_block.values()) < together.age_years < max(last.by_block.values())
    with pytest.raises(ConfigError, match="one of last, ensemble, block1, block2, block3, got"):
        saved.predict(volume, "block4")


def test_a_bundle_has_all_its_files_and_no_others(saved):
    files = {p.relative_to(saved.folder).as_posix() for p in saved.folder.rglob("*") if p.is_file()}
    assert files == set(REQUIRED)
    assert [path.name for path in saved.folder.parent.iterdir()] == ["model"]


def test_what_was_saved_predicts_what_was_trained(saved, volume):
    trained = replace(saved, members=(make_member(saved.config),))
    assert load_bundle(saved.folder).predict(volume) == trained.predict(volume)


def test_loading_gives_back_configuration_task_and_calibration(saved):
    loaded = load_bundle(saved.folder)
    assert loaded.config == saved.config == tiny_config()
    assert [member.task for member in loaded.members] == [make_member(saved.config).task]
    assert loaded.calibration == saved.calibration
    assert (loaded.model_hash, loaded.preprocessing_hash) == (
        saved.model_hash,
        saved.preprocessing_hash,
    )
    assert loaded.input_shape == (1, 40, 48, 40)


@pytest.mark.parametrize("objective", ["bp", "bp_deep_supervision", "lfnn"])
def test_a_model_of_every_rule_can_be_loaded(objective, volume, tmp_path):
    config = tiny_config(objective={"name": objective, "leader_fraction": 1.0})
    bundle = make_bundle(tmp_path / "model", config)
    prediction = load_bundle(bundle.folder).predict(volume)
    assert np.isfinite(prediction.age_years)
    heads = {"bp": {3}, "bp_deep_supervision": {1, 2, 3}, "lfnn": {1, 2, 3}}
    assert set(prediction.by_block) == heads[objective]


def test_every_block_predicts_and_the_last_is_the_answer(saved, volume):
    prediction = saved.predict(volume)
    assert set(prediction.by_block) == {1, 2, 3}
    assert prediction.age_years == prediction.by_block[3]


def test_a_prediction_does_not_depend_on_those_before_it(saved, volume):
    """Nor on chance: dropout is off."""
    first = saved.predict(volume)
    saved.predict(-volume)
    assert saved.predict(volume) == first


def test_a_volume_of_another_grid_is_refused(saved, volume):
    with pytest.raises(ValueError, match=r"expected a volume of shape \(40, 48, 40\), got \(39, "):
        saved.predict(volume[1:])


def test_loading_needs_no_pickle(saved, volume, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert load_bundle(saved.folder).predict(volume) == saved.predict(volume)


@pytest.mark.parametrize(
    ("age", "inside"), [(19.9, False), (20.0, True), (68.0, True), (68.1, False)]
)
def test_ages_outside_training_s_are_known(saved, age, inside):
    assert saved.in_training_range(age) is inside


def test_the_hash_changes_with_whatever_decides_a_row(saved, copied):
    assert model_hash(copied) == saved.model_hash
    for name in ("weights.safetensors", "model.yaml", "preprocessing.yaml", "calibration.json"):
        path = copied / name
        before = path.read_bytes()
        path.write_bytes(before + b" ")
        assert model_hash(copied) != saved.model_hash, name
        path.write_bytes(before)
    (copied / "MODEL_CARD.md").write_text("# Another text\n")
    assert model_hash(copied) == saved.model_hash


def test_the_versions_that_decide_a_prediction_are_kept(saved):
    versions = read_yaml(saved.folder / "model.yaml")["versions"]
    assert set(versions) == {"brainage", *RECORDED_PACKAGES}
    assert versions["brainage"] == __version__
    assert versions["numpy"] == np.__version__


def test_a_bundle_that_cannot_be_written_whole_leaves_the_old_one(copied, saved):
    with pytest.raises(ValueError, match="JSON"):
        make_bundle(copied, tiny_config(), calibration={"mae_years": float("nan")})
    assert load_bundle(copied).model_hash == saved.model_hash
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"file/model: cannot write the model"):
        make_bundle(tmp_path / "file" / "model", tiny_config())
