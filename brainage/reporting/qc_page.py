"""``qc.html``: every scan with its pictures, figures and flags, in one file without network."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from brainage.preprocess.quality import FIGURES, Figure
from brainage.preprocess.quality_limits import Limit, QualityLimits, load_quality_limits
from brainage.reporting.formatting import decimals
from brainage.reporting.page import page_environment, verbatim, write_page

# A picture takes 35 kB of the page; of more scans only those with a flag are shown.
MAX_SCANS_WITH_PICTURES = 1000

# Every flag there can be, in words.
FLAG_TEXTS = {
    f"{side}_{figure.name}": f"{side} {figure.label}"
    for figure in FIGURES
    for side in ("low", "high", "no")
}


@dataclass(frozen=True, kw_only=True)
class ScanCard:
    """One scan of the page; ``picture`` is relative to a folder that the page is written from."""

    scan: str
    subject: str
    session: str | None
    site: str | None
    status: str
    stage: str | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    picture: Path | None = None


@dataclass(frozen=True, kw_only=True)
class QualityPage:
    """Everything that the page shows."""

    title: str
    preprocessing_hash: str
    spacing_mm: float
    cards: tuple[ScanCard, ...]

    def count(self, status: str) -> int:
        """Scans with this status."""
        return sum(card.status == status for card in self.cards)

    @property
    def num_flagged(self) -> int:
        """Scans that went through and have a flag."""
        return sum(bool(card.flags) for card in self.cards)


class Cell(NamedTuple):
    """A figure of one scan, as shown; ``beyond`` is ``low`` or ``high`` when it is flagged."""

    figure: Figure
    value: float | None
    beyond: str


class LimitRow(NamedTuple):
    """A figure with its meaning and limits, as text."""

    figure: Figure
    text: str
    num_flagged: int


def write_quality_page(page: QualityPage, path: Path, *, pictures: Path) -> None:
    """Write the page.

    Args:
        page: what it shows.
        path: the HTML file.
        pictures: folder that the cards' pictures start from; one that is gone is left out.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    write_page(render_quality_page(page, pictures=pictures), path)


def render_quality_page(page: QualityPage, *, pictures: Path) -> str:
    """The page as text."""
    limits = load_quality_limits()
    flags = Counter(flag for card in page.cards for flag in card.flags)
    all_shown = len(page.cards) <= MAX_SCANS_WITH_PICTURES
    rows = [
        (card, _cells(card), _data_uri(card.picture, pictures) if all_shown or card.flags else None)
        for card in page.cards
    ]
    return (
        page_environment()
        .get_template("qc.html.j2")
        .render(
            page=page,
            figures=FIGURES,
            flag_texts=FLAG_TEXTS,
            rows=rows,
            all_shown=all_shown,
            flag_counts=_in_order(flags),
            limits=limits,
            limit_rows=[_limit_row(figure, limits, flags) for figure in FIGURES],
            style=verbatim("report.css", "qc.css"),
            script=verbatim("report.js", "qc.js"),
        )
    )


def _cells(card: ScanCard) -> list[Cell]:
    cells = []
    for figure in FIGURES:
        sides = [side for side in ("low", "high") if f"{side}_{figure.name}" in card.flags]
        cells.append(Cell(figure, card.figures.get(figure.name), "".join(sides)))
    return cells


def _in_order(flags: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Flags with their texts and numbers of scans, in the order of the figures."""
    return [(flag, text, flags[flag]) for flag, text in FLAG_TEXTS.items() if flag in flags]


def _limit_row(figure: Figure, limits: QualityLimits, flags: Mapping[str, int]) -> LimitRow:
    limit = limits.limits.get(figure.name, Limit(None, None))
    low, high = (decimals(value, figure.places) for value in (limit.low, limit.high))
    if limit.low is not None and limit.high is not None:
        text = f"{low} to {high}"
    elif limit.low is not None:
        text = f"at least {low}"
    else:
        text = "none" if limit.high is None else f"at most {high}"
    names: Sequence[str] = [f"{side}_{figure.name}" for side in ("low", "high", "no")]
    unit = f" {figure.unit}" if figure.unit and text != "none" else ""
    return LimitRow(figure, text + unit, sum(flags.get(name, 0) for name in names))


def _data_uri(picture: Path | None, folder: Path) -> str | None:
    """The picture as part of the page."""
    if picture is None:
        return None
    try:
        content = (folder / picture).read_bytes()
    except OSError:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
