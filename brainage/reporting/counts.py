"""How many, in words; standard library only, for commands that load little."""


def counted(count: int, noun: str) -> str:
    """A number of things whose plural ends in s: "1 scan", "0 scans"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def some_of(count: int, total: int, noun: str, verbs: tuple[str, str]) -> str:
    """Some of all, with a verb for one and for several: "1 of 3 scans is", "2 of 3 scans are"."""
    return f"{count} of {counted(total, noun)} {verbs[count != 1]}"
