"""The page of a calibration."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from brainage.bundle.age_line import AgeLine
from brainage.reporting.figure_style import FileFormat
from brainage.reporting.formatting import decimals, interval
from brainage.reporting.page import page_environment, verbatim, write_page
from brainage.reporting.report import DrawnFigure, inline_figures, write_pictures
from brainage.workflows.calibrate.compare import LOCAL, OWN, RAW, AgeRow, Comparison
from brainage.workflows.calibrate.controls import Controls
from brainage.workflows.calibrate.figures import gaps_before_and_after, prediction_line


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """What the page shows."""

    title: str
    """The model, as the user named it."""

    site: str
    created: datetime
    controls: Controls
    comparison: Comparison
    age_line: AgeLine
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Whether the local line makes the error smaller."""
        rows = {row.name: row for row in self.comparison.rows}
        if LOCAL not in rows:
            return (
                "The new model corrects no age: its predictions rise too little with age here. "
                "Its intervals are those of these people."
            )
        return verdict(rows[LOCAL])

    @property
    def people(self) -> str:
        """Who was measured."""
        ages, more = self.controls.age_years, self.controls.left_out
        also = f"; {more} further scans of the same people were left out" if more else ""
        return f"{self.controls.n} people of {ages.min():.1f} to {ages.max():.1f} years{also}."

    @property
    def line(self) -> str:
        """The line that is kept, in words."""
        fitted = self.age_line
        sign = "+" if fitted.intercept_years >= 0 else "-"
        return (
            f"The line that is kept, of all {fitted.n}: predicted age = {fitted.slope:.2f} times "
            f"age {sign} {abs(fitted.intercept_years):.1f} years."
        )


def verdict(row: AgeRow) -> str:
    """One sentence on the change of the error."""
    change = row.mae_change_years
    assert change.value is not None
    between = interval(change)
    known = f" (95 % interval of the change {between}, paired)" if between else ""
    if change.low is not None and change.high is not None and change.low <= 0 <= change.high:
        what = f"changes the error no more than chance would, by {decimals(change.value)} years"
    else:
        larger = "smaller" if change.value < 0 else "LARGER"
        what = f"makes the error {larger} by {decimals(abs(change.value))} years"
    return f"Correcting by the local line {what}, to {decimals(row.mae_years.value)}{known}."


def write_calibration_report(report: CalibrationReport, folder: Path) -> None:
    """Write ``report.html`` and its figures.

    Raises:
        RunFolderError: if a file cannot be written.
    """
    page = (
        page_environment()
        .get_template("calibration.html.j2")
        .render(
            report=report,
            figures=inline_figures(_draw(report, "svg")),
            style=verbatim("report.css", "evaluation.css"),
        )
    )
    write_page(page, folder / "report.html")
    write_pictures(_draw(report, "png"), folder / "figures")


def _draw(report: CalibrationReport, file_format: FileFormat) -> list[DrawnFigure]:
    controls, ages = report.controls, report.comparison.ages
    return [
        DrawnFigure(
            "Predicted and chronological age",
            "Each mark is a person. The solid line is kept in the model; correcting turns it into "
            "the dashed one, unless it is too flat for that.",
            prediction_line(controls, report.age_line, file_format),
        ),
        DrawnFigure(
            "Gap and age",
            "The gap is predicted minus chronological age: raw, and corrected by lines fitted on "
            "other people.",
            gaps_before_and_after(
                controls.age_years,
                {name: ages[name] for name in (RAW, OWN, LOCAL) if name in ages},
                file_format,
            ),
        ),
    ]
