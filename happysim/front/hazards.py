"""The table of known hazards: which property holds for the correct protocol, and what is caught."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from happysim.core.errors import HappysimError
from happysim.spec.hazard import Hazard
from happysim.spec.property import Property
from happysim.trace.format import read, saved
from happysim.trace.replay import home_of, replay

TRACES = "traces"


def hazards_in(modules: Iterable[ModuleType]) -> list[Hazard]:
    """Every hazard that modules list, alone or in a sequence, in order of number."""
    found: dict[int, Hazard] = {}
    for module in modules:
        for value in vars(module).values():
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, Hazard):
                    found[each.number] = each
    return [found[number] for number in sorted(found)]


def show_hazards(
    console: Console, hazards: Sequence[Hazard], properties: Sequence[Property], root: Path
) -> bool:
    """Print the table; True where each hazard is caught, on a trace that replays as recorded."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "protocol", "mistake", "holds", "caught by", "trace"):
        table.add_column(name)
    complete = True
    for hazard in hazards:
        for at, prop in enumerate(hazard.caught_by):
            told = _replayed(prop, root)
            complete = complete and told == "replayed"
            table.add_row(
                str(hazard.number) if not at else "",
                hazard.protocol if not at else "",
                hazard.mistake if not at else "",
                _held_by(prop, properties),
                name_of(prop),
                told,
            )
    console.print(table)
    return complete


def name_of(prop: Property) -> str:
    """The name under which a property stands in its module."""
    return home_of(prop).partition(":")[2]


def _held_by(prop: Property, properties: Sequence[Property]) -> str:
    """The property of the correct protocol that judges alike."""
    for other in properties:
        if other.function is prop.function and not other.must_break:
            return name_of(other)
    return "-"


def _replayed(prop: Property, root: Path) -> str:
    """What became of the saved trace of a property."""
    home = home_of(prop)
    for path in saved(home, root / TRACES):
        trace = read(path)
        if trace.prop != home:
            continue
        try:
            replayed = replay(trace, root)
        except HappysimError as error:
            return f"fails: {error}"
        return "replayed" if replayed.broken and replayed.exact else "drifted"
    return "missing"
