"""A small configuration that has every kind of key."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

FORBID = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Small:
    __pydantic_config__ = FORBID

    name: Literal["small"] = "small"
    width: int = 8


@dataclass(frozen=True, kw_only=True)
class Deep:
    __pydantic_config__ = FORBID

    name: Literal["deep"] = "deep"
    channels: tuple[int, ...] = (4, 8)
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    __pydantic_config__ = FORBID

    name: Literal["bp", "lfnn_l"] = "lfnn_l"
    leader_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.leader_fraction <= 1:
            got = self.leader_fraction
            raise ValueError(f"leader_fraction: expected a fraction in (0, 1], got {got!r}")


@dataclass(frozen=True, kw_only=True)
class Grid:
    __pydantic_config__ = FORBID

    shape_XYZ: tuple[int, int, int] = (4, 5, 6)
    mirror: bool = False


@dataclass(frozen=True, kw_only=True)
class Preparation:
    __pydantic_config__ = FORBID

    grid: Grid = field(default_factory=Grid)
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.folder and self.grid.mirror:
            raise ValueError("a folder and a mirror do not go together")


@dataclass(frozen=True, kw_only=True)
class Settings:
    __pydantic_config__ = FORBID

    name: str
    seed: int = 0
    rule: Rule = field(default_factory=Rule)
    network: Annotated[Small | Deep, Field(discriminator="name")] = field(default_factory=Small)
    preparation: Preparation = field(default_factory=Preparation)
