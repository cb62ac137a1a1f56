"""How scenarios get to an interesting world, and a bound that several of them share."""

from __future__ import annotations

from collections import Counter

from happysim import ScheduleError, World, duplicating, ordered, unordered

# By the name that an argument of a scenario may have in a trace.
NETWORKS = {"unordered": unordered, "ordered": ordered, "duplicating": duplicating}


def along(world: World, *beginnings: str) -> World:
    """The world after several choices, each named by how its text begins."""
    for beginning in beginnings:
        fitting = [choice for choice in world.choices() if str(choice).startswith(beginning)]
        if len(fitting) != 1:
            raise ScheduleError(f"{len(fitting)} choices begin with {beginning!r}; name one")
        world = world.step(fitting[0])
    return world


def ask(name: str, server: str) -> tuple[str, str]:
    """How a client's next request arrives, for `along`."""
    return f"invoke {name}", f"deliver {name} -> {server}"


def no_copy_in_flight(world: World) -> bool:
    """A bound: a message that is repeated is not in flight twice."""
    copies = Counter(map(repr, world.in_flight))
    return all(number == 1 for number in copies.values())
