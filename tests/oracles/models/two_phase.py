"""Two-phase commit, as messages between nodes and as one raw transition system.

**Source**: Gray and Lamport, "Consensus on transaction commit", 2006, section 3.
**Assumes**: messages are never lost, may be late, and may arrive more than once.
"""

from __future__ import annotations

from happysim import Host, Node, World, action, always, duplicating, message, on

MANAGERS = ("rm1", "rm2", "rm3", "rm4", "rm5", "rm6", "rm7", "rm8", "rm9", "rm10")


@message
class Prepared: ...


@message
class Commit: ...


@message
class Abort: ...


class Coordinator(Node):
    """Commits once every manager is prepared; may abort at any moment before."""

    managers: tuple[str, ...]
    state: str = "init"
    prepared: set[str] = set()

    @on(Prepared)
    def note(self, host: Host, sender: str, prepared: Prepared) -> None:
        if self.state == "init":
            self.prepared.add(sender)

    @action(when=lambda self: self.state == "init" and len(self.prepared) == len(self.managers))
    def commit(self, host: Host) -> None:
        self.state = "committed"
        host.broadcast(Commit(), to=self.managers)

    @action(when=lambda self: self.state == "init")
    def abort(self, host: Host) -> None:
        self.state = "aborted"
        host.broadcast(Abort(), to=self.managers)


class Manager(Node):
    """Works, then prepares or aborts by itself; what the coordinator says is final."""

    state: str = "working"

    @action(when=lambda self: self.state == "working")
    def prepare(self, host: Host) -> None:
        self.state = "prepared"
        host.send("tm", Prepared())

    @action(when=lambda self: self.state == "working")
    def choose_to_abort(self, host: Host) -> None:
        self.state = "aborted"

    @on(Commit)
    def commit(self, host: Host, sender: str, commit: Commit) -> None:
        self.state = "committed"

    @on(Abort)
    def abort(self, host: Host, sender: str, abort: Abort) -> None:
        self.state = "aborted"


def messages(managers: int = 3, symmetric: bool = False) -> World:
    names = MANAGERS[:managers]
    nodes = [Coordinator("tm", names), *map(Manager, names)]
    return World.of(*nodes, network=duplicating(), symmetric=names if symmetric else ())


@always(messages)
def managers_agree(world: World) -> bool:
    return {"aborted", "committed"} > {each.state for each in world.nodes(Manager)} - {
        "working",
        "prepared",
    }


class Raw(Node):
    """The whole system as one node. `sent` only grows: ("prepared", i), "commit", "abort"."""

    rm: list[str]
    tm: str = "init"
    noted: set[int] = set()
    prepared_sent: set[int] = set()
    commit_sent: bool = False
    abort_sent: bool = False

    def _in_state(self, state: str) -> list[int]:
        return [i for i, each in enumerate(self.rm) if each == state]

    @action(when=lambda self: self.tm == "init" and len(self.noted) == len(self.rm))
    def tm_commit(self, host: Host) -> None:
        self.tm, self.commit_sent = "committed", True

    @action(when=lambda self: self.tm == "init")
    def tm_abort(self, host: Host) -> None:
        self.tm, self.abort_sent = "aborted", True

    @action(when=lambda self: self.tm == "init" and bool(self.prepared_sent))
    def tm_receives_prepared(self, host: Host) -> None:
        self.noted.add(host.choose(sorted(self.prepared_sent)))

    @action(when=lambda self: "working" in self.rm)
    def rm_prepares(self, host: Host) -> None:
        i = host.choose(self._in_state("working"))
        self.rm[i] = "prepared"
        self.prepared_sent.add(i)

    @action(when=lambda self: "working" in self.rm)
    def rm_chooses_to_abort(self, host: Host) -> None:
        self.rm[host.choose(self._in_state("working"))] = "aborted"

    @action(when=lambda self: self.commit_sent)
    def rm_receives_commit(self, host: Host) -> None:
        self.rm[host.choose(range(len(self.rm)))] = "committed"

    @action(when=lambda self: self.abort_sent)
    def rm_receives_abort(self, host: Host) -> None:
        self.rm[host.choose(range(len(self.rm)))] = "aborted"


def raw(managers: int = 3) -> World:
    return World.of(Raw("system", ["working"] * managers))


@always(raw)
def raw_managers_agree(world: World) -> bool:
    rm = world["system"].rm
    return not ("aborted" in rm and "committed" in rm)
