"""The pages this project writes, each made of made-up results with everything filled in."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from brainage.preprocess.quality import FIGURES
from brainage.reporting.comparison_page import render_comparison
from brainage.reporting.evaluation import evaluate_predictions
from brainage.reporting.evaluation_report import render_evaluation_report
from brainage.reporting.qc_page import QualityPage, ScanCard, render_quality_page
from brainage.reporting.report import render_report
from brainage.stress.page import render_stress_page
from tests.reporting.cohort import evaluation_report, predicted_scans, repeated_scans, run_report
from tests.reporting.comparisons import comparison
from tests.stress.made_up import results, rows

LONG_NAME = "a/rather/long/path_without_any_space_in_it/" + "sub-" + "0123456789" * 6 + ".nii.gz"


def evaluation(_folder: Path) -> str:
    first = predicted_scans(30, scan=LONG_NAME, site="a_long_name_of_a_site_without_spaces")
    scans = tuple(
        replace(scan, interval_low=scan.predicted_age - 6, interval_high=scan.predicted_age + 6)
        for scan in first + repeated_scans()
    )
    report = evaluation_report(
        evaluation=evaluate_predictions(scans, nominal_coverage=0.9),
        title=LONG_NAME,
        source=LONG_NAME,
    )
    return render_evaluation_report(report)


def training(_folder: Path) -> str:
    scans = predicted_scans(30, kfold=True, scan=LONG_NAME)
    return render_report(run_report(scans, evaluation="kfold", run_name=LONG_NAME))


def quality(folder: Path) -> str:
    random = np.random.default_rng(0)
    cards = []
    for index in range(6):
        picture = io.BytesIO()
        Image.fromarray(random.integers(0, 255, (288, 384), dtype=np.uint8)).save(picture, "JPEG")
        (folder / f"{index}.jpg").write_bytes(picture.getvalue())
        cards.append(
            ScanCard(
                scan=LONG_NAME,
                subject=f"sub-{index}",
                session=None,
                site="here",
                status="ok",
                figures={figure.name: float(random.normal()) for figure in FIGURES},
                flags=("low_template_dice",) if index == 2 else (),
                picture=Path(f"{index}.jpg"),
            )
        )
    failed = replace(cards[0], subject="sub-bad", status="failed", stage="read", reason="no scan",
                     figures={}, picture=None)  # fmt: skip
    page = QualityPage(
        title=LONG_NAME, preprocessing_hash="abc", spacing_mm=2.0, cards=(*cards, failed)
    )
    return render_quality_page(page, pictures=folder)


def comparison_of_rules(_folder: Path) -> str:
    return render_comparison(comparison(name=LONG_NAME))


def stress_test(_folder: Path) -> str:
    made = rows(scan=LONG_NAME, subject=LONG_NAME)
    random = np.random.default_rng(0)
    pictures = [
        (row, random.integers(0, 255, (110, 186), dtype=np.uint8))
        for row in made
        if row.delta_years is not None
    ]
    created = datetime(2030, 1, 1, tzinfo=UTC)
    return render_stress_page(results(made, model=LONG_NAME), pictures, created)


PAGES: dict[str, Callable[[Path], str]] = {
    "evaluation": evaluation,
    "training": training,
    "quality": quality,
    "comparison": comparison_of_rules,
    "stress": stress_test,
}
