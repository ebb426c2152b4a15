"""``brainage tables run``: do what a table still lacks, then show it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainage.config.table_parts import PanelPart, PlanPart, StudyPart
from brainage.config.tables import TableConfig, experiment
from brainage.errors import BrainageError, ConfigError, RunFolderError
from brainage.workflows.tables.collect import collect
from brainage.workflows.tables.figures import write_figures
from brainage.workflows.tables.panel_part import run_panel
from brainage.workflows.tables.result import TableResult
from brainage.workflows.tables.speed_part import run_plan, run_speed
from brainage.workflows.tables.study_part import run_study

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TablesSummary:
    """Result of ``brainage tables run``: the tables, and why some parts could not be done."""

    results: tuple[TableResult, ...]
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 when a fit failed or a part could not be done."""
        return max(bool(self.problems), *(result.exit_code for result in self.results))

    def describe(self) -> list[str]:
        """All tables, one after another, then what could not be done."""
        lines = [line for result in self.results for line in (*result.describe(), "")]
        return lines + [f"not done: {problem}" for problem in self.problems]

    def to_json(self) -> dict[str, Any]:
        """The table, if it is one, or a list of them, and what could not be done."""
        found = [result.to_json() for result in self.results]
        tables = found[0] if len(found) == 1 else {"tables": found}
        return {**tables, "problems": list(self.problems)}


def run_tables(
    tables: Sequence[TableConfig], *, out: Path, full: bool, jobs: int, only: Sequence[str] = ()
) -> TablesSummary:
    """Do what the tables lack, one table after another.

    A part that cannot be done, because its images are not there for example, costs itself and not
    the others.

    Args:
        tables: which.
        out: where everything is kept.
        full: as published; otherwise with the reductions that two cores need.
        jobs: fits at the same time.
        only: names of the parts to do, of a single table; none does all.

    Raises:
        BrainageError: if no part at all can be done, or ``out`` or ``only`` cannot be used.
        KeyboardInterrupt: if it is interrupted; what is finished is kept.
    """
    if only and len(tables) > 1:
        raise ConfigError(f"--part: chooses among the parts of one table, {len(tables)} are named")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot create it: {error.strerror}") from error
    results = []
    errors: list[BrainageError] = []
    for table in tables:
        try:
            result, problems = run_table(table, out=out, full=full, jobs=jobs, only=only)
        except BrainageError as error:
            errors.append(error)
        except KeyboardInterrupt:
            # The same command goes on; which folder it was in does not matter.
            raise KeyboardInterrupt from None
        else:
            results.append(result)
            errors += problems
    if not results:
        raise errors[0]
    return TablesSummary(results=tuple(results), problems=tuple(map(str, errors)))


def run_table(
    table: TableConfig, *, out: Path, full: bool, jobs: int, only: Sequence[str] = ()
) -> tuple[TableResult, list[BrainageError]]:
    """Train and measure what is not done yet; write ``TABLE.json`` and the table's figures.

    Every experiment has its folder ``out/TABLE/PART``; one that was interrupted goes on there, and
    one that another table needs too is done once. Arguments as for ``run_tables``.

    Returns:
        The table, and the errors of parts that could not be done beside others that could.

    Raises:
        BrainageError: if no part can be done.
    """
    unknown = [name for name in only if name not in table.parts]
    if unknown:
        raise ConfigError(
            f"--part: {table.name} has no part {unknown[0]}; it has {', '.join(table.parts)}"
        )
    wanted = tuple(only or table.parts)
    errors: list[BrainageError] = []
    for name in wanted:
        _log.info("%s: %s", table.name, name)
        try:
            _run_part(table, name, out=out, full=full, jobs=jobs)
        except BrainageError as error:
            error.args = (f"{table.name}, part {name}: {error}",)
            errors.append(error)
    if len(errors) == len(wanted):
        raise errors[0]
    result = collect(table, out)
    result.save(out)
    write_figures(table, result, out, results=out)
    return result, errors


def _run_part(table: TableConfig, name: str, *, out: Path, full: bool, jobs: int) -> None:
    owner, own_name, part = experiment(table, name)
    folder = out / owner / own_name
    if isinstance(part, PanelPart):
        run_panel(part, folder, full=full, jobs=jobs)
    elif isinstance(part, PlanPart):
        run_plan(part, folder)
    elif isinstance(part, StudyPart):
        run_study(part, folder, out=out, full=full, jobs=jobs)
    else:
        run_speed(part, folder)
