import json
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.errors import RunFolderError, TrainingError
from brainage.workflows.studies.fits import StudyFit, mean_and_sd, measured_fits


def counted(fit, images):
    with Path(fit.content["log"]).open("a") as stream:
        stream.write(f"{fit.seed} ")
    if fit.seed == 9:
        raise TrainingError("the loss is nan")
    return {"seed": fit.seed}


def fits_of(config, tmp_path, seeds, **content):
    log = str(tmp_path / "log")
    return [
        StudyFit(kind="count", seed=seed, recipe=config.recipe, content={"log": log, **content},
                 num_threads=1)
        for seed in seeds
    ]  # fmt: skip


@pytest.fixture
def in_one_process(monkeypatch):
    def run(tasks, function, shared, jobs):
        for task in tasks:
            yield task, function(task, shared)

    monkeypatch.setattr("brainage.workflows.studies.fits.in_processes", run)


def test_a_seed_whose_file_is_there_is_not_trained_again(config, images, tmp_path, in_one_process):
    log = tmp_path / "log"
    folder = tmp_path / "study"
    first = measured_fits(fits_of(config, tmp_path, [0]), counted, images, folder, 1)
    both = measured_fits(fits_of(config, tmp_path, [0, 1]), counted, images, folder, 1)
    assert (first, both) == ([{"seed": 0}], [{"seed": 0}, {"seed": 1}])
    assert log.read_text() == "0 1 "
    measured_fits(fits_of(config, tmp_path, [0], epochs=3), counted, images, folder, 1)
    assert log.read_text() == "0 1 0 "


def test_other_images_are_another_fit(config, tmp_path):
    (fit,) = fits_of(config, tmp_path, [0])
    assert fit.fingerprint("these") != fit.fingerprint("those")
    assert fit.fingerprint("these") == replace(fit).fingerprint("these")


def test_a_training_that_breaks_down_costs_itself_only(config, images, tmp_path, in_one_process):
    folder = tmp_path / "study"
    found = measured_fits(fits_of(config, tmp_path, [9, 1]), counted, images, folder, 1)
    assert found == [{"seed": 1}]
    assert not (folder / "count-seed9.json").exists()
    with pytest.raises(TrainingError, match="count-seed9: the loss is nan"):
        measured_fits(fits_of(config, tmp_path, [9]), counted, images, folder, 1)


def test_a_damaged_file_is_named(config, images, tmp_path, in_one_process):
    (tmp_path / "count-seed0.json").write_text("{")
    with pytest.raises(RunFolderError, match="damaged; remove it"):
        measured_fits(fits_of(config, tmp_path, [0]), counted, images, tmp_path, 1)


def test_the_sd_is_that_of_a_sample():
    assert mean_and_sd([1.0, 3.0]) == {"mean": 2.0, "sd": pytest.approx(2**0.5)}
    assert json.dumps(mean_and_sd([1.0])) == '{"mean": 1.0, "sd": null}'
