"""A small protocol to run in time: members of a club greet each other, and count who answers."""

from __future__ import annotations

from happysim import Host, Node, World, always, durable, eventually, message, on


@message
class Hello:
    number: int


class Member(Node):
    """Greets all others ten times a second, and meets where enough of them greeted it lately."""

    needed: int = 1
    number: int = durable(0)
    heard: set[str] = set()
    meets: bool = False

    def on_start(self, host: Host) -> None:
        host.set_timer("hello", seconds=0.1)

    @on.timer("hello")
    def greet(self, host: Host) -> None:
        self.number += 1
        self.meets = len(self.heard) >= self.needed
        self.heard = set()
        host.broadcast(Hello(self.number))
        host.set_timer("hello", seconds=0.1)

    @on(Hello)
    def hear(self, host: Host, sender: str, hello: Hello) -> None:
        self.heard.add(sender)


def club(size: int = 3, needed: int = 1) -> World:
    """Members m1, m2, ..., each of which needs so many others to meet."""
    return World.of(*[Member(f"m{number}", needed=needed) for number in range(1, size + 1)])


@eventually(club)
def a_majority_meets(world: World) -> bool | str:
    alone = [member.name for member in world.nodes(Member) if not member.meets]
    return 2 * len(alone) < len(world.nodes(Member)) or f"{' '.join(alone)} met nobody"


@always(club)
def nobody_greets_long(world: World) -> bool | str:
    """Broken once a member has greeted 40 times, which takes it 4 seconds."""
    return next((f"{m.name} greets" for m in world.nodes(Member) if m.number >= 40), True)


@always(club)
def nobody_greets_for_ever(world: World) -> bool:
    """Broken twice as late."""
    return all(member.number < 80 for member in world.nodes(Member))
