"""Two algorithms on a ring: termination detection (EWD840) and leader election (Chang-Roberts)."""

from __future__ import annotations

from itertools import product

from happysim import Host, Node, World, action, always


class Ewd840(Node):
    """Detects that every process is passive, by a token that goes round. One raw system.

    **Source**: Dijkstra, Feijen and van Gasteren, EWD840, 1983. Node i passes the token to i - 1,
    node 0 to the last one.
    """

    active: list[bool]
    black: list[bool]
    token_at: int
    token_black: bool = True

    @action(when=lambda self: self.token_at == 0 and (self.token_black or self.black[0]))
    def starts_probe(self, host: Host) -> None:
        self.token_at, self.token_black = len(self.active) - 1, False
        self.black[0] = False

    @action(when=lambda self: self.token_at != 0 and self._may_pass())
    def passes_token(self, host: Host) -> None:
        i = self.token_at
        self.token_at, self.token_black = i - 1, self.token_black or self.black[i]
        self.black[i] = False

    def _may_pass(self) -> bool:
        i = self.token_at
        return not self.active[i] or self.black[i] or self.token_black

    @action(when=lambda self: any(self.active) and len(self.active) > 1)
    def sends(self, host: Host) -> None:
        nodes = range(len(self.active))
        i, j = host.choose([(i, j) for i in nodes if self.active[i] for j in nodes if j != i])
        self.active[j] = True
        self.black[i] = self.black[i] or j > i

    @action(when=lambda self: any(self.active))
    def goes_passive(self, host: Host) -> None:
        self.active[host.choose([i for i, each in enumerate(self.active) if each])] = False


def ewd840(nodes: int = 3) -> dict[str, World]:
    """Every activity, every colour, every place of the token; the token is black."""
    flags = list(product([False, True], repeat=nodes))
    starts = product(flags, flags, range(nodes))
    return {
        f"active {active}, black {black}, token at {at}": World.of(
            Ewd840("system", list(active), list(black), at)
        )
        for active, black, at in starts
    }


@always(ewd840)
def termination_is_detected_rightly(world: World) -> bool:
    system = world["system"]
    detected = system.token_at == 0 and not (
        system.token_black or system.black[0] or system.active[0]
    )
    return not detected or not any(system.active)


class ChangRoberts(Node):
    """Elects the smallest id: ids go round, and a node loses to a smaller one. One raw system.

    **Source**: Chang and Roberts, "An improved algorithm for decentralized extrema-finding", 1979.
    A node takes its start step before anything else; only an initiator then sends its id. What a
    node has received and not read is a set.
    """

    ids: list[int]
    initiator: list[bool]
    state: list[str] = []
    started: list[bool] = []
    inbox: list[set[int]] = []

    def on_start(self, host: Host) -> None:
        self.state = ["candidate" if starts else "lost" for starts in self.initiator]
        self.started = [False] * len(self.ids)
        self.inbox = [set() for _ in self.ids]

    def _send(self, i: int, id: int) -> None:
        self.inbox[(i + 1) % len(self.ids)].add(id)

    @action(when=lambda self: not all(self.started))
    def starts(self, host: Host) -> None:
        i = host.choose([i for i, started in enumerate(self.started) if not started])
        self.started[i] = True
        if self.initiator[i]:
            self._send(i, self.ids[i])

    def _readable(self) -> list[tuple[int, int]]:
        nodes = [i for i, started in enumerate(self.started) if started]
        return [(i, id) for i in nodes for id in sorted(self.inbox[i])]

    @action(when=lambda self: bool(self._readable()))
    def reads(self, host: Host) -> None:
        i, id = host.choose(self._readable())
        self.inbox[i].remove(id)
        if self.state[i] == "lost" or id < self.ids[i]:
            self.state[i] = "lost"
            self._send(i, id)
        elif id == self.ids[i]:
            self.state[i] = "won"


def chang_roberts() -> dict[str, World]:
    """Three nodes with the ids 1, 2, 3 along the ring; every set of initiators."""
    starts = product([False, True], repeat=3)
    return {
        f"initiators {flags}": World.of(ChangRoberts("ring", [1, 2, 3], list(flags)))
        for flags in starts
    }


@always(chang_roberts)
def the_smallest_initiator_alone_wins(world: World) -> bool:
    ring = world["ring"]
    starting = [id for id, starts in zip(ring.ids, ring.initiator, strict=True) if starts]
    won = [id for id, state in zip(ring.ids, ring.state, strict=True) if state == "won"]
    return won in ([], [min(starting, default=0)])
