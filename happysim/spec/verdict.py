"""Verdict: Holds, Broken or Unknown. Three, never two."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from happysim.core.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from happysim.core.world import World
    from happysim.spec.property import Property


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says of one property. Not a bool: ask `.holds`, `.broken` or `.unknown`."""

    of: Property
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def holds(self) -> bool:
        return isinstance(self, Holds)

    @property
    def broken(self) -> bool:
        return isinstance(self, Broken)

    @property
    def unknown(self) -> bool:
        return isinstance(self, Unknown)

    def __repr__(self) -> str:
        return f"<{self.of.name}: {self}>"

    def __bool__(self) -> bool:
        raise TypeError(
            "a verdict is one of three, not true or false; "
            "write `verdict.holds`, `verdict.broken` or `verdict.unknown`"
        )


@dataclass(frozen=True, repr=False)
class Holds(Verdict):
    """The property holds in every world there is; `bounds` names the bounds this is true within.

    A `reachable` property holds by a witness: `schedule` leads to a world that satisfies it.
    `proved` says that no world was visited: a solver proved it of them all. `reduction` tells which
    worlds were taken together, of which one was visited.
    """

    bounds: str = ""
    schedule: tuple[Choice, ...] | None = None
    start: str = ""
    proved: bool = False
    reduction: str = ""

    @property
    def exhaustive(self) -> bool:
        """True where no bound but the scenario's own fault budgets was set."""
        return not self.bounds

    def __str__(self) -> str:
        if self.schedule is not None:
            return f"Holds (reached in {_choices(self.schedule)})"
        how = "proved" if self.proved else "exhaustive"
        within = f" within {self.bounds}" if self.bounds else ""
        reduction = f", {self.reduction}" if self.reduction else ""
        return f"Holds ({how}{within}{reduction})"


@dataclass(frozen=True, repr=False)
class Broken(Verdict):
    """The property is broken: `schedule` leads from the scenario's world to the violation.

    `start` is the name of the first world, where the scenario has several. `reason` is what the
    property said. `shortest` is True where an exhaustive search proved that no schedule is shorter,
    `minimal` where a shrinker found that no single choice can be left out. A `reachable` property
    that no world satisfies has no schedule.
    """

    reason: str = ""
    schedule: tuple[Choice, ...] | None = None
    start: str = ""
    shortest: bool = False
    minimal: bool = False
    # The bound that the search kept to; a shrinker keeps to it too.
    within: Callable[[World], bool] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.schedule is None:
            return f"Broken ({self.reason})"
        how = ", shortest" if self.shortest else ", 1-minimal" if self.minimal else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"Broken (in {_choices(self.schedule)}{how}){reason}"


@dataclass(frozen=True, repr=False)
class Unknown(Verdict):
    """Not decided, and why."""

    reason: str = ""

    def __str__(self) -> str:
        return f"Unknown ({self.reason})"


def _choices(schedule: tuple[Choice, ...]) -> str:
    return f"{len(schedule)} choice{'s' * (len(schedule) != 1)}"
