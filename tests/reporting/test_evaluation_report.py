import re
from dataclasses import replace

import pytest

from brainage.reporting.evaluation import evaluate_predictions
from brainage.reporting.evaluation_report import (
    draw_evaluation,
    render_evaluation_report,
    write_evaluation_figures,
)
from brainage.reporting.run_report import FailedScan
from tests.reporting.cohort import evaluation_report, predicted_scans, repeated_scans
from tests.reporting.test_report import Page


@pytest.fixture(scope="module")
def page() -> Page:
    scans = tuple(
        replace(scan, interval_low=scan.predicted_age - 6, interval_high=scan.predicted_age + 6)
        for scan in predicted_scans(30) + repeated_scans()
    )
    evaluation = evaluate_predictions(scans, nominal_coverage=0.9)
    return Page(render_evaluation_report(evaluation_report(evaluation=evaluation)))


@pytest.mark.parametrize(
    "words",
    [
        "Evaluation of runs/try/model",
        "Models scored on these scans 3",
        "3 models have been scored on these scans. No scan comes twice.",
        "Pearson r of gap and age",
        "Beheshti / de Lange",
        "a correction uses the age",
        "By site",
        "By sex",
        "By age decade",
        "12 subjects, the closest in age: 1.00 years apart in the median",
        "ICC(2,1) of the gap",
        "Upper limit of agreement",
        "Longitudinal slope",
        "12 subjects, 24 scans",
        "made to hold 90 % of the ages",
        "bad.nii read no scan",
        "0123456789abcdef",
    ],
)
def test_the_page_states(page, words):
    assert words in page.text


def test_the_headline_is_the_uncorrected_error(page):
    metrics = evaluate_predictions(predicted_scans(30) + repeated_scans()).metrics
    headline = page.text[: page.text.index("Checked before measuring")]
    assert f"Mean absolute error, uncorrected {metrics.mae_years.value:.2f} years" in headline
    assert f"{metrics.mae_years.low:.2f} to {metrics.mae_years.high:.2f}" in headline
    assert "Beheshti" not in headline


def test_what_there_are_no_data_for_is_left_out():
    scans = tuple(replace(scan, training_mean_age_years=None) for scan in predicted_scans(4))
    report = evaluation_report(scans, failed_scans=(), warnings=(), num_models=1)
    text = Page(render_evaluation_report(report)).text
    for words in ("Repeated scans", "Intervals hold", "After correction", "nan", "None "):
        assert words not in text.replace("None: every scan was predicted.", ""), words
    assert "Predicting the mean age of the other subjects here" in text
    assert "None: every scan was predicted." in text


def test_names_that_look_like_markup_stay_text():
    evil = "<script>alert(1)</script>"
    scans = predicted_scans(4, subject=evil, scan=evil, site=evil, sex=evil, session=evil)
    text = render_evaluation_report(
        evaluation_report(
            scans,
            title=evil,
            source=evil,
            checks=(evil,),
            warnings=(evil,),
            facts={evil: evil},
            failed_scans=(FailedScan(scan=evil, stage=evil, reason=evil),),
        )
    )
    assert evil not in text
    assert Page(text).text.count(evil) >= 12


def test_the_page_names_no_address():
    source = render_evaluation_report(evaluation_report(predicted_scans(4)))
    assert not re.search(r"https?://", source)


def test_every_figure_is_a_file_of_its_own(tmp_path):
    report = evaluation_report()
    write_evaluation_figures(report, tmp_path)
    titles = [figure.title for figure in draw_evaluation(report.evaluation, "svg")]
    assert len(titles) == 8
    names = {f"{title.lower().replace(' ', '_')}.png" for title in titles}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
