import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from brainage.errors import RunFolderError
from brainage.reporting.report import (
    render_report,
    report_figures,
    write_figures,
    write_report,
)
from brainage.reporting.run_report import FailedScan
from tests.reporting.cohort import predicted_scans, run_report

VOID = {"meta", "link", "br", "img", "input", "hr", "source"}


# Drawing takes most of a test's time; these leave out the figures that it is not about.
FEWER_FIGURES = {"history": {}, "block_mae_years": {}}


class Page(HTMLParser):
    """Collects elements, their ids, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def source() -> str:
    return render_report(run_report())


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_every_element_is_closed(page):
    assert page.open == []


def test_the_page_refers_to_nothing_outside_itself(page, source):
    ours = {
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "action", "data", "srcset", "poster"}
    }
    assert all(value.startswith(("#", "data:")) for value in ours), ours
    assert "://" not in source
    assert "@import" not in source
    assert set(re.findall(r"url\((.)", source)) <= {"#"}


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        reference
        for _, attributes in page.elements
        for value in attributes.values()
        for reference in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value or "")
    }
    assert wanted
    assert {first or second for first, second in wanted} <= set(ids)


def test_names_that_look_like_markup_stay_text():
    evil = "<script>alert(1)</script>"
    scans = predicted_scans(subject=evil, scan=f"{evil}.nii", site=evil, sex=evil)
    text = render_report(
        run_report(
            scans,
            run_name=evil,
            notes=(evil,),
            config_yaml=evil,
            failed_scans=(FailedScan(scan=evil, stage="read", reason=evil),),
        )
    )
    assert evil not in text
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    # name, title, note, configuration, failed scan and reason, subject, scan, site, sex, and groups
    assert page.text.count(evil) >= 10


def test_the_headline_stands_beside_predicting_the_mean(page):
    metrics = run_report().metrics
    text = page.text
    headline = text[: text.index("Data")]
    assert f"{metrics.mae_years.value:.2f} years" in headline
    assert f"{metrics.mae_years.low:.2f} to {metrics.mae_years.high:.2f}" in headline
    assert f"{metrics.mae_mean_baseline_years.value:.2f} years" in headline
    assert f"{metrics.mae_gain_over_mean_years.value:.2f} years smaller" in headline
    assert "not corrected for age bias" in headline
    assert "not for clinical use" in headline
    assert "The sample is small" in headline


def test_a_model_no_better_than_the_mean_is_said_to_be_so():
    scans = tuple(
        type(scan)(**{**vars(scan), "predicted_age": scan.age_years + 40})
        for scan in predicted_scans()
    )
    text = Page(render_report(run_report(scans, **FEWER_FIGURES))).text
    assert "no better" in text
    assert "years larger" in text


def test_a_difference_within_chance_is_said_to_be_so():
    scans = tuple(
        type(scan)(**{**vars(scan), "predicted_age": 30 + (-1) ** index * 2.0})
        for index, scan in enumerate(predicted_scans())
    )
    assert (
        "the difference can be chance"
        in Page(render_report(run_report(scans, **FEWER_FIGURES))).text
    )


@pytest.mark.parametrize(
    "fact",
    [
        "train 30 scans",
        "3.5 to 55.0 years",
        "bad.nii brain extraction no brain & no mask",
        "kernel ridge 4.24 3.90 to 4.60",
        "8 min 32 s",
        "43.2 ms",
        "3.00 GiB",
        "CPU, 2 cores",
        "torch 2.13.0",
        "trainer: epochs: 5",
        "Site and age go together.",
        "By site",
        "By sex",
        "By age decade",
        "Error by block",
        "Training loss",
    ],
)
def test_the_page_states(page, fact):
    assert fact in page.text


def test_out_of_fold_predictions_are_called_so_and_name_their_fold():
    scans = predicted_scans(kfold=True)
    page = Page(
        render_report(
            run_report(scans, evaluation="kfold", split_sizes={"fold 1": 8}, **FEWER_FIGURES)
        )
    )
    assert "Mean absolute error, out of fold" in page.text
    assert "fold 1 8 scans" in page.text


def test_a_run_with_little_to_say_still_has_a_page():
    from brainage.reporting.run_report import Cost

    text = render_report(
        run_report(
            predicted_scans(1),
            training_age_range_years=None,
            block_mae_years={},
            history={},
            failed_scans=(),
            baselines=(),
            cost=Cost(),
            config_yaml="",
            notes=(),
        )
    )
    page = Page(text)
    assert "too few subjects for an interval" in page.text
    assert "None: every scan of the manifest was used." in page.text
    assert "nan" not in page.text.lower()


def test_the_file_is_written_with_its_folder(tmp_path):
    path = tmp_path / "run" / "report.html"
    write_report(run_report(**FEWER_FIGURES), path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_figure_of_the_page_is_a_picture_of_its_own(tmp_path):
    report = run_report()
    write_figures(report, tmp_path / "figures")
    files = sorted((tmp_path / "figures").iterdir())
    titles = sorted(figure.title.lower().replace(" ", "_") for figure in report_figures(report))
    assert [path.stem for path in files] == titles
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_a_folder_that_cannot_be_written_is_the_users_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_report(run_report(), tmp_path / "file" / "report.html")


def test_a_report_needs_predictions_and_their_own_metrics():
    report = run_report()
    with pytest.raises(ValueError, match="predictions: expected at least one"):
        run_report((), metrics=report.metrics)
    with pytest.raises(ValueError, match="metrics: expected those of 5 predictions"):
        run_report(predicted_scans(5), metrics=report.metrics)


def test_describing_a_report_loads_no_drawing_library():
    program = "import sys, brainage.reporting.metrics; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
