"""Raft under load, in virtual time: what stays true at every step, and what must come true.

Clients ask, are refused, wait, give up, and ask another server, while servers crash and messages
get lost, copied and delayed. The theorems are those of `properties/raft.py`; here each is a monitor
of one run. It looks at what is new, so it costs little where logs are long, and it remembers: two
leaders of one term are two even if the first has crashed meanwhile.

When the faults have stopped, a majority of servers has to serve every client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import Faults, Script, World, bounded, call, eventually, monitor, sleep, swarm
from happysim.protocols.raft import (
    ClientRequest,
    Entry,
    Journal,
    NotLeader,
    Overwritten,
    RaftNode,
    Role,
)
from properties.raft import PLAIN, who_does_not_lead_will_stand, who_leads_beats

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 10.0

# -- clients, and the cluster that serves them ----------------------------------------------------


def patience(name: str, servers: tuple[str, ...], timeout: float, every: float) -> Iterator[Any]:
    """Ask for one command after the other; where nobody has answered, more patiently.

    Commands are numbered as calls are, so that each call has a command of its own: whether one that
    timed out was done nobody knows, and asking for it again is another command.
    """
    at, tries, number = int(name[1:]), 1, 0
    while True:
        number += 1
        server = servers[at % len(servers)]
        answer = yield call(server, ClientRequest((name, number)), timeout=timeout * min(tries, 2))
        if isinstance(answer, NotLeader):
            at = servers.index(answer.leader) if answer.leader in servers else at + 1
            yield sleep((0.01, 0.1))
        elif isinstance(answer, int):
            tries = 1
            yield sleep((0.0, 2 * every))
        else:
            at, tries = at + 1, tries + 1


def census(servers: tuple[str, ...]) -> Iterator[Any]:
    """Once the faults have stopped, ask every server in turn, whoever leads."""
    yield sleep(ROUGH_SECONDS)
    number = 0
    while True:
        for server in servers:
            number += 1
            yield call(server, ClientRequest(("census", number, server)), timeout=1.0)
        yield sleep(0.5)


@bounded(
    by=swarm(
        seed=1,
        runs=60,
        until=ROUGH_SECONDS,
        calm=30.0,
        arguments={
            "size": (1, 3, 3, 3, 3, 5, 5),
            "clients": (1, 2, 4),
            "timeout": (0.3, 1.0, 3.0),
            "every": (0.3, 0.5, 1.0),
            "no_op": (True, False, False),
            "plain": (True, True, False),
        },
    ),
    unknown_passes=True,
)
def cluster_under_load(
    kind: type[RaftNode] = RaftNode,
    size: int = 3,
    clients: int = 2,
    timeout: float = 1.0,
    every: float = 0.5,
    no_op: bool = True,
    plain: bool = True,
) -> World:
    """Servers n1, n2, ... with heartbeats, and clients c1, c2, ... of which each starts elsewhere.

    A client asks `every` so many seconds at the most, and waits `timeout` seconds for an answer.

    `plain` servers are the paper's; others vote before they vote, and so on. No log is so long that
    it is discarded. The state machine is a journal: its answer to a command is that command's place
    among all.
    """
    names = tuple(f"n{number}" for number in range(1, size + 1))
    options = PLAIN if plain else {}
    servers = [kind(name, machine=Journal(), no_op=no_op, **options) for name in names]
    asking = [
        Script(f"c{number}", patience, f"c{number}", names, timeout, every)
        for number in range(1, clients + 1)
    ]
    faults = Faults(crashes=1, unsynced_loss=True)
    return World.of(*servers, *asking, Script("census", census, names), faults=faults)


def is_server(name: str) -> bool:
    return name.startswith("n")


def is_client(name: str) -> bool:
    return name.startswith("c") and name != "census"


# -- memories of a run ----------------------------------------------------------------------------


class Growth:
    """What is new in the log of a server since it was last looked at."""

    def __init__(self) -> None:
        self.seen: list[Entry] = []
        self.is_cut = False  # the last look missed some of what had been seen

    def news(self, log: Any) -> range:
        """The indices, from 1, of entries that are new; all that follow one that is new are."""
        seen, end = self.seen, len(log)
        same = min(len(seen), end)
        while same and seen[same - 1] != log[same - 1]:
            same -= 1
        self.is_cut = same < len(seen)
        if self.is_cut or same < end:
            seen[same:] = log[same:]
        return range(same + 1, end + 1)


class Chosen:
    """The entries that were committed, in order, each with the term in which that was known."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.terms: list[int] = []
        self.known: dict[str, int] = {}

    def look(self, server: Any) -> Iterator[tuple[int, Entry, bool]]:
        """What a server has committed since the last look: index, entry, and whether it is first.

        A server that restarts commits anew.
        """
        begin, end = min(self.known.get(server.name, 0), server.commit_index), server.commit_index
        self.known[server.name] = end
        for index in range(begin + 1, end + 1):
            entry = server.log.entry(index)
            first = index > len(self.entries)
            if first:
                self.entries.append(entry)
                self.terms.append(server.current_term)
            yield index, entry, first


# -- the theorems (figure 3) ----------------------------------------------------------------------


@monitor(cluster_under_load)
class election_safety:
    """At most one leader can be elected in a given term."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name) or world[name].role is not Role.LEADER:
            return True
        term = world[name].current_term
        first = self.leaders.setdefault(term, name)
        return first == name or f"{first} and {name} both led term {term}"


@monitor(cluster_under_load)
class log_matching:
    """Logs that agree on the term at an index are the same up to that index."""

    def __init__(self) -> None:
        self.growth: dict[str, Growth] = {}
        # By index and term: the entry there, and the term of the one before.
        self.known: dict[tuple[int, int], tuple[Entry, int]] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        log = world[name].log.entries
        for index in self.growth.setdefault(name, Growth()).news(log):
            entry = log[index - 1]
            before = log[index - 2].term if index > 1 else 0
            known = self.known.setdefault((index, entry.term), (entry, before))
            if known != (entry, before):
                return f"{name} has another entry of term {entry.term} at {index}, or before it"
        return True


@monitor(cluster_under_load)
class state_machine_safety:
    """No two servers ever apply different commands at one index."""

    def __init__(self) -> None:
        self.chosen = Chosen()

    def __call__(self, world: World, name: str) -> bool | str:
        for index, entry, _ in self.chosen.look(world[name]) if is_server(name) else ():
            if self.chosen.entries[index - 1] != entry:
                return f"{name} applied {entry} at {index}, not {self.chosen.entries[index - 1]}"
        return True


@monitor(cluster_under_load)
class leader_completeness:
    """What is committed in a term is in the logs of the leaders of all later terms."""

    def __init__(self) -> None:
        self.chosen = Chosen()
        self.led: dict[str, int] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        server = world[name]
        term = server.current_term
        fresh = [index for index, _, first in self.chosen.look(server) if first]
        if server.role is Role.LEADER and self.led.get(name) != term:
            self.led[name] = term
            terms = self.chosen.terms
            said = self.lacks(server, [i for i, known in enumerate(terms, 1) if known < term])
            if said:
                return said
        for leader in world.nodes(RaftNode) if fresh else ():
            if leader.role is Role.LEADER and leader.current_term > term:
                said = self.lacks(leader, fresh)
                if said:
                    return said
        return True

    def lacks(self, leader: Any, indices: list[int]) -> str:
        log = leader.log.entries
        for index in indices:
            if index > len(log) or log[index - 1] != self.chosen.entries[index - 1]:
                return (
                    f"{leader.name} leads term {leader.current_term} without what was committed at "
                    f"{index} in term {self.chosen.terms[index - 1]}"
                )
        return ""


@monitor(cluster_under_load)
class committed_entries_are_on_a_majority:
    """Section 5.3: what is committed is on disk at a majority, and never leaves it again."""

    def __init__(self) -> None:
        self.chosen = Chosen()
        self.growth: dict[str, Growth] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        growth = self.growth.setdefault(name, Growth())
        growth.news(world[name].log.entries)
        fresh = [index for index, _, first in self.chosen.look(world[name]) if first]
        if growth.is_cut:
            fresh = list(range(1, len(self.chosen.entries) + 1))
        logs = [server.log.entries for server in world.nodes(RaftNode)] if fresh else []
        for index in fresh:
            entry = self.chosen.entries[index - 1]
            holders = sum(len(log) >= index and log[index - 1] == entry for log in logs)
            if 2 * holders <= len(logs):
                return f"{holders} of {len(logs)} servers hold what was committed at {index}"
        return True


# -- what clients are owed ------------------------------------------------------------------------


@monitor(cluster_under_load)
class answers_come_from_the_log:
    """Section 8: linearizable, and the log is the witness.

    A command's answer is its place among all commands committed; it is committed by then; it is
    there once; and it comes behind every command that was answered before its client asked. One
    that is older than a later one of its client is not applied (dissertation, section 6.3).
    """

    def __init__(self) -> None:
        self.chosen = Chosen()
        # By client: the last of its commands that was applied.
        self.applied: dict[str, int] = {}
        # By command: its place among all, and the newest place answered when it was asked for.
        self.places: dict[Any, int] = {}
        self.floors: dict[Any, int] = {}
        self.newest = 0

    def __call__(self, world: World, name: str) -> bool | str:
        if is_server(name):
            return self.listen(world[name])
        calls = world.history.of(name) if is_client(name) else ()
        if not calls:
            return True
        last = calls[-1]
        floor = self.floors.setdefault(last.operation.command, self.newest)
        return self.judge(last.operation.command, floor, last.result) if last.done else True

    def listen(self, server: Any) -> bool | str:
        for _, entry, first in self.chosen.look(server):
            if first and entry.operation is not None:
                if entry.command in self.places:
                    return f"{entry.command} is committed twice"
                client, number = entry.command[:2]
                if number < self.applied.get(client, 0):
                    continue
                self.applied[client] = number
                self.places[entry.command] = len(self.places) + 1
        return True

    def judge(self, command: Any, floor: int, answer: Any) -> bool | str:
        if isinstance(answer, NotLeader | Overwritten):
            return True
        place = self.places.get(command)
        if place is None or answer != place:
            return f"the answer to {command} is {answer}; its place is {place}"
        self.newest = max(self.newest, place)
        return place > floor or f"{command} is at {place}, but {floor} was answered before it"


who_does_not_lead_will_stand_in_time = who_does_not_lead_will_stand.over(
    cluster_under_load, "who_does_not_lead_will_stand_in_time"
)
who_leads_beats_in_time = who_leads_beats.over(cluster_under_load, "who_leads_beats_in_time")

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(cluster_under_load)
def every_client_is_served(world: World) -> bool | str:
    """Each client has an answer to a command that it asked for since the faults have stopped.

    Not demanded of several plain servers: the paper's Raft has leaders that are heard and hear
    nobody, because of a cut that is one-way, and nothing ever deposes them (dissertation, 6.2).
    """
    servers = world.nodes(RaftNode)
    if len(servers) > 1 and not servers[0].check_quorum:
        return True
    waiting = []
    for name, calls in world.history.lanes:
        # The lane of a call that timed out is named after it. The census begins with the calm.
        if is_client(name) and "~" not in name:
            served = (each for each in reversed(calls) if isinstance(each.result, int))
            last = next(served, None)
            if last is None or "census" not in dict(last.after):
                waiting.append(name)
    return not waiting or f"{' '.join(waiting)} still waits"


@eventually(cluster_under_load)
def a_majority_answers_whoever_asks(world: World) -> bool | str:
    """Section 8: a server that does not lead refuses a request; it does not ignore it."""
    answered = {call.operation.command[2] for call in world.history.of("census") if call.done}
    servers = [server.name for server in world.nodes(RaftNode)]
    silent = [name for name in servers if name not in answered]
    return 2 * len(answered) > len(servers) or f"no answer from {' '.join(silent)}"
