"""Interchangeable nodes: what is renamed with them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from happysim import (
    Faults,
    Host,
    Name,
    Node,
    ScenarioError,
    Script,
    World,
    action,
    call,
    explore,
    message,
    on,
    ordered,
)
from happysim.core.describe import describe
from happysim.core.freeze import freeze, thaw
from happysim.core.symmetry import rename

NAMES = ("n1", "n2", "n3")
SWAPPED = {"n1": "n2", "n2": "n1"}


@message
class Claim:
    """A claim of its sender, with the sender's name as text that is no name."""

    number: int = 0
    text: str = ""


class Claimant(Node):
    """Claims once, and keeps the first claim it hears of."""

    text: str = ""
    claimed: bool = False
    first: str | None = None
    heard: dict[str, int] = {}

    @action(when=lambda self: not self.claimed)
    def claim(self, host: Host) -> None:
        self.claimed = True
        host.broadcast(Claim(0, self.text))

    @on(Claim)
    def hear(self, host: Host, sender: str, claim: Claim) -> None:
        self.first = self.first or sender
        self.heard[sender] = claim.number


class Ordered(Claimant):
    """Prefers the claim of the greater name, as the bully algorithm does."""

    @on(Claim)
    def hear(self, host: Host, sender: str, claim: Claim) -> None:
        self.first = max(self.first or sender, sender)


class Listing(Claimant):
    """Keeps a list of its peers, whose order is that of the world."""

    def on_start(self, host: Host) -> None:
        self.heard = {}
        self.text = str(list(host.peers))


class Favours(Claimant):
    """Claims to one node only, which it knows by a text."""

    text: str = "n1"

    @action(when=lambda self: not self.claimed)
    def claim(self, host: Host) -> None:
        self.claimed = True
        if host.name != self.text:
            host.send(self.text, Claim())


class Muses(Claimant):
    """Claims to itself, on one node only."""

    @action(when=lambda self: not self.claimed)
    def claim(self, host: Host) -> None:
        self.claimed = True
        if host.name == "n2":
            host.send(host.name, Claim())


class Fails(Claimant):
    """Raises on one node only."""

    @on(Claim)
    def hear(self, host: Host, sender: str, claim: Claim) -> None:
        assert sender < host.name


class Server(Node):
    """Answers with the first client that asked."""

    first: str | None = None

    @on(Claim)
    def answer(self, host: Host, sender: str, claim: Claim) -> None:
        self.first = self.first or sender
        host.respond(self.first)


def world(kind: type[Node] = Claimant, *arguments: object) -> World:
    return World.of(*(kind(name, *arguments) for name in NAMES), symmetric=NAMES)


def ask(text: str) -> object:
    yield call("server", Claim(0, text))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Name("n1"), Name("n2")),
        ("n1", "n1"),
        ((Name("n1"), "n1", 1, b"n1"), (Name("n2"), "n1", 1, b"n1")),
        ({"n1": Name("n1")}, {"n1": Name("n2")}),
        ({Name("n1"): 1, Name("n3"): 2}, {Name("n2"): 1, Name("n3"): 2}),
        (frozenset({Name("n1"), Name("n3")}), frozenset({Name("n2"), Name("n3")})),
        (Claim(1, "n1"), Claim(1, "n1")),
    ],
    ids=repr,
)
def test_names_are_renamed_and_no_text_that_reads_the_same(given: object, expected: object) -> None:
    assert rename(freeze(given), SWAPPED) == freeze(expected)


def test_a_name_reads_as_text_but_is_a_value_of_its_own() -> None:
    frozen = freeze(Name("n1"))
    assert describe(frozen) == describe("n1")
    assert frozen != freeze("n1")
    assert (thaw(frozen), type(thaw(frozen))) == ("n1", Name)


def test_a_dict_keyed_by_names_has_no_order_of_its_own() -> None:
    one, other = {Name("n1"): 1, Name("n2"): 2}, {Name("n2"): 2, Name("n1"): 1}
    assert freeze(one) == freeze(other)
    assert freeze({"n1": 1, "n2": 2}) != freeze({"n2": 2, "n1": 1})


def test_a_world_without_symmetric_nodes_knows_no_names() -> None:
    named = World.of(*(Claimant(name, Name("n1")) for name in NAMES))
    plain = World.of(*(Claimant(name, "n1") for name in NAMES))
    assert named.tables.states[0].values == plain.tables.states[0].values
    assert type(named.tables.names[0]) is str


def test_an_ordinary_text_equal_to_a_name_is_left_alone() -> None:
    report = explore(world(Claimant, "n1"))
    assert report.in_full == explore(world(Claimant, "n1"), symmetry=False).worlds


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (
            Ordered,
            "",
            r"step `deliver n2 -> n3 Claim\(.*swapped .*n3.first should become 'n1', and is 'n2'",
        ),
        (
            Favours,
            "n1",
            "there is the step `act n1 claim`.*should send nothing, and sends n1 Claim",
        ),
        (Favours, "n3", "with n2 and n3 swapped"),
        (Fails, "", "there is no step of n2 like it"),
        (Muses, "", "there is the step `act n1 claim`.*should send nothing, and sends n2 Claim"),
    ],
    ids=["compares names", "knows the first", "knows the last", "raises on one", "sends itself"],
)
def test_a_protocol_that_tells_nodes_apart_is_refused(
    kind: type[Node], text: str, said: str
) -> None:
    broken = world(kind, text)
    for _ in range(2):  # what was refused once is refused again
        with pytest.raises(
            ScenarioError, match=f"(?s)declared symmetric, but {kind.__name__}"
        ) as no:
            explore(broken)
        assert no.match(f"(?s){said}")
    assert explore(broken, symmetry=False).worlds > 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: world(Listing), "n1.text is"),
        (
            lambda: World.of(Claimant("n1", "a"), Claimant("n2", "b"), symmetric=("n1", "n2")),
            "with other values",
        ),
        (
            lambda: World.of(Claimant("n1"), Server("n2"), symmetric=("n1", "n2")),
            "of another class",
        ),
        (lambda: World.of(Claimant("n1"), symmetric=("n1", "n2")), "'n2' is no node"),
        (lambda: World.of(Claimant("n1"), symmetric=("n1", "n1")), "'n1' is declared twice"),
        (
            lambda: World.of(
                *map(Claimant, NAMES),
                faults=Faults(partitions=1, splits=(("n1",),)),
                symmetric=NAMES,
            ),
            "lists no partition",
        ),
        (
            lambda: World.of(
                Server("server"),
                Script("c1", ask, "c1"),
                Script("c2", ask, "c2"),
                symmetric=("c1", "c2"),
            ),
            "with other values",
        ),
    ],
)
def test_nodes_that_start_unalike_are_refused(make: Callable[[], World], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        make()


def test_clients_may_be_interchangeable_and_may_be_given_their_names() -> None:
    def clients(name: type[str]) -> World:
        scripts = [Script(each, ask, "") for each in ("c1", "c2", "c3")]
        return World.of(Server("server"), *scripts, network=ordered(), symmetric=("c1", "c2", "c3"))

    reduced = explore(clients(Name), history=True)
    full = explore(clients(Name), history=True, symmetry=False)
    assert (reduced.in_full, reduced.depth) == (full.worlds, full.depth)
    assert reduced.worlds * 3 < full.worlds


def test_crashes_of_one_node_alone_are_refused() -> None:
    faults = Faults(crashes=1, crashable=("n1",))
    declared = World.of(*map(Claimant, NAMES), faults=faults, symmetric=NAMES)
    with pytest.raises(
        ScenarioError, match=r"`crash n1`;\s+with n1 and n2 swapped there is no step of n2"
    ):
        explore(declared)
