import json

from brainage.config.studies import ComplexityStudyConfig, study_from
from brainage.reporting.complexity_figures import write_complexity_figures
from brainage.workflows.studies.complexity import run_complexity_study
from brainage.workflows.studies.samples import grey_sample


def small_study():
    return study_from(
        ComplexityStudyConfig,
        {
            "data": [{"name": "mnist"}],
            "images_per_set": 6,
            "native_orders": {"mnist": 2},
            "order": 3,
        },
    )


def test_a_set_has_its_measures_spectrum_picture_and_alternatives(tmp_path):
    result = run_complexity_study(small_study(), tmp_path / "study")
    (row,) = result["sets"]
    assert (row["data"], row["images"], row["note"]) == ("mnist", 6, "all")
    assert row["heterogeneity"]["mean"] > 0
    assert len(row["spectrum"]["alpha"]) == len(row["spectrum"]["f"])
    assert json.loads((tmp_path / "study/result.json").read_text()) == result
    names = [each["name"] for each in result["alternatives"]]
    assert "order near each set's resolution" in names
    assert "resize area" not in names  # the main measurement itself
    assert {"resize nearest", "mass raw", "order 4", "moments to 2"} <= set(names)
    files = write_complexity_figures(result, tmp_path / "figures", scale="reduced: tiny")
    assert [file.name for file in files] == ["hilbert.png", "spectra.png", "choices.png"]
    assert all(file.stat().st_size > 5000 for file in files)


def test_the_picture_is_the_first_image_at_its_own_order(tmp_path):
    result = run_complexity_study(small_study(), tmp_path)
    picture = result["sets"][0]["picture"]
    sample = grey_sample(small_study().data[0], count=6)
    expected = (255 * sample.pictures[0]).round().int().tolist()
    assert picture["grey"] == expected
    assert sorted(picture["sequence"]) == sorted(value for row in expected for value in row)
    assert picture["class"] == sample.class_names[sample.labels[0]]
