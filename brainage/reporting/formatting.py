"""Numbers as a reader wants them."""

from brainage.reporting.estimates import Estimate

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
BYTES_PER_GIB = 1024**3


def decimals(value: float | None, places: int = 2) -> str:
    """The number with a true minus sign, or a dash for None."""
    if value is None:
        return NOTHING
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def interval(estimate: Estimate, places: int = 2) -> str:
    """The interval as "low to high", empty when there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{decimals(estimate.low, places)} to {decimals(estimate.high, places)}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def gibibytes(size_bytes: int | None) -> str:
    """Bytes in GiB."""
    return NOTHING if size_bytes is None else f"{size_bytes / BYTES_PER_GIB:.2f} GiB"


FILTERS = {
    "decimals": decimals,
    "interval": interval,
    "duration": duration,
    "gibibytes": gibibytes,
}
