"""A table out of what its experiments have left on disk, done or not."""

from dataclasses import replace
from pathlib import Path

from brainage.config.table_parts import OwnPart, PanelPart, PlanPart, StudyPart
from brainage.config.tables import RowConfig, TableConfig, experiment
from brainage.workflows.tables.panel_part import panel_state
from brainage.workflows.tables.result import Cell, Curve, PartFacts, TableResult
from brainage.workflows.tables.speed_part import plan_state, speed_state
from brainage.workflows.tables.state import PartState
from brainage.workflows.tables.study_part import study_state


def collect(table: TableConfig, out: Path) -> TableResult:
    """Everything that is known of a table so far.

    Args:
        table: which.
        out: the folder that ``run_tables`` was given.

    Raises:
        BrainageError: if a result cannot be read.
    """
    parts: dict[str, PartFacts] = {}
    cells: list[Cell] = []
    curves: list[Curve] = []
    for name in table.parts:
        owner, own_name, part = experiment(table, name)
        state = _state(part, out / owner / own_name)
        parts[name] = state.facts
        for row in table.rows:
            if row.part == name:
                cells += _cells(row, state)
        if table.figure == "convergence":
            curves += [replace(curve, part=name) for curve in state.curves]
    return TableResult(
        table=table.name,
        title=table.title,
        parts=parts,
        rows=tuple(cells),
        curves=tuple(curves),
        notes=table.notes,
    )


def _state(part: OwnPart, folder: Path) -> PartState:
    if isinstance(part, PanelPart):
        return panel_state(part, folder)
    if isinstance(part, PlanPart):
        return plan_state(part, folder)
    if isinstance(part, StudyPart):
        return study_state(part, folder)
    return speed_state(part, folder)


def _cells(row: RowConfig, state: PartState) -> list[Cell]:
    values = state.values(row.method, row.measure)
    published = row.published or (None,) * len(values)
    printed_sd = row.published_sd or (None,) * len(values)
    return [
        Cell(
            part=row.part,
            method=row.method,
            setting=value.setting,
            measure=row.measure,
            published=printed,
            published_sd=spread,
            measured=value.mean,
            sd=value.sd,
            seeds=value.seeds,
            failed=value.failed,
            scale=state.facts.scale,
        )
        for value, printed, spread in zip(values, published, printed_sd, strict=True)
    ]
