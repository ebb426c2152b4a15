"""Other versions of what decides a prediction are told, and refuse nothing by themselves."""

import logging

import pytest

from brainage.bundle.load import load_bundle
from brainage.bundle.versions import (
    RECORDED_PACKAGES,
    differing_versions,
    recorded_versions,
    version_differences,
)
from brainage.config.yaml_text import read_yaml, to_yaml
from brainage.errors import BundleError
from tests.safety.hostile import seal


def with_versions(folder, versions):
    path = folder / "model.yaml"
    path.write_text(to_yaml({**read_yaml(path), "versions": versions}))
    seal(folder)


def test_the_same_versions_say_nothing(saved, caplog):
    load_bundle(saved.folder)
    assert not caplog.records
    assert differing_versions(recorded_versions()) == []


def test_other_versions_are_one_warning_that_names_them_and_what_to_do(copied, caplog):
    with_versions(copied, {**recorded_versions(), "antspyx": "0.1", "numpy": "1.0"})
    with caplog.at_level(logging.WARNING):
        load_bundle(copied)
    (record,) = caplog.records
    told = record.getMessage()
    assert "antspyx 0.1 (here " in told
    assert "numpy 1.0 (here " in told
    assert f"'brainage doctor --model {copied}'" in told


@pytest.mark.parametrize("package", RECORDED_PACKAGES)
def test_every_package_that_decides_a_prediction_is_compared(package):
    (told,) = differing_versions({**recorded_versions(), package: "0.0.1"})
    assert told.startswith(f"{package} 0.0.1 (here ")


def test_what_it_was_built_for_is_no_other_version():
    plain = recorded_versions()["torch"].partition("+")[0]
    assert differing_versions({**recorded_versions(), "torch": f"{plain}+cu999"}) == []


def test_a_package_that_was_not_noted_is_told():
    versions = recorded_versions()
    del versions["deepbet"]
    (told,) = differing_versions(versions)
    assert told.startswith("deepbet None")


def test_a_package_that_is_not_here_is_told():
    (found,) = version_differences({**recorded_versions(), "no-such-package": "1.0"})
    assert found == ("no-such-package", "1.0", None)


def test_damaged_versions_are_refused(copied):
    with_versions(copied, "new")
    with pytest.raises(BundleError, match=r"model\.yaml: damaged: versions"):
        load_bundle(copied)
