import re
from dataclasses import dataclass, field

from brainage.reporting.panel_figures import error_bars, error_curves, panel_figures


@dataclass
class Fit:
    method: str
    test_error_percent: float | None
    history: list[dict[str, float]] = field(default_factory=list)


def fit(method: str, errors: list[float], tested: float | None = 3.0) -> Fit:
    history = [
        {"epoch": number, "val/accuracy": 1 - error / 100}
        for number, error in enumerate(errors, start=1)
    ]
    return Fit(method, tested, history)


FITS = [
    fit("bp", [8.0, 4.0, 2.0]),
    fit("bp", [6.0, 4.0, 2.0], tested=5.0),
    fit("greedy", [90.0, 90.0, 90.0, 7.0, 5.0, 3.0]),
    fit("broken", [9.0, 9.0, 9.0], tested=None),
]


def texts(svg: bytes) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", svg.decode())


def test_ticks_are_plain_numbers_and_methods_are_named():
    told = texts(error_curves(FITS, {"greedy": 2}, "svg"))
    assert {"2", "5"} <= set(told)
    assert not any("$" in text for text in told)
    assert {"bp", "greedy, last block", "broken"} <= set(told)


def test_of_a_method_that_trains_block_after_block_the_last_block_is_drawn():
    """Its 90 % would make the others' curves a line at the bottom."""
    told = texts(error_curves(FITS, {"greedy": 2}, "svg"))
    assert "50" not in told
    assert "4" not in told  # an epoch that only the first blocks have
    assert "50" in texts(error_curves(FITS, {}, "svg"))


def test_bars_have_the_mean_over_seeds_of_what_was_tested():
    told = texts(error_bars(FITS, "svg"))
    assert "bp" in told
    assert "  4.00" in told or "4.00" in [text.strip() for text in told]
    assert "broken" not in told


def test_nothing_is_drawn_of_nothing():
    assert panel_figures([Fit("bp", None)]) == {}
