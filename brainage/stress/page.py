"""``stress.html``: what changes of a scan did to the age, in one file without network."""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from brainage.reporting.page import page_environment, verbatim, write_page
from brainage.reporting.report import inline_figures
from brainage.stress.figures import draw_results, label
from brainage.stress.pictures import Picture, jpeg
from brainage.stress.results import DOSE_TITLES, DOSE_UNITS, StressResults
from brainage.stress.row import UNTOUCHED, StressRow


def write_stress_page(
    results: StressResults,
    pictures: Sequence[tuple[StressRow, Picture]],
    path: Path,
    created: datetime,
) -> None:
    """Write the page.

    Args:
        results: what it shows.
        pictures: of one scan, untouched and after each change.
        path: the HTML file.
        created: when the test was done.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    write_page(render_stress_page(results, pictures, created), path)


def render_stress_page(
    results: StressResults, pictures: Sequence[tuple[StressRow, Picture]], created: datetime
) -> str:
    """The page as text."""
    return (
        page_environment()
        .get_template("stress.html.j2")
        .render(
            results=results,
            created=created,
            summaries=results.by_perturbation(),
            responses=results.dose_responses(),
            dose_titles=DOSE_TITLES,
            dose_units=DOSE_UNITS,
            figures=inline_figures(draw_results(results, "svg")),
            pictures=[(caption(row), row, _data_uri(picture)) for row, picture in pictures],
            label=label,
            style=verbatim("report.css", "stress.css"),
            script=verbatim("report.js"),
        )
    )


def caption(row: StressRow) -> str:
    """What a picture shows."""
    return UNTOUCHED if row.perturbation == UNTOUCHED else label(row)


def _data_uri(picture: Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture)).decode()}"
