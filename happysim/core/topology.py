"""Network: who is connected to whom, and by which link.

A network is put together by hand and then given to `World.of`, which keeps a copy. Only simulated
time looks at the links; a search knows no time, and uses the kind of delivery alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from happysim.core.errors import ScenarioError
from happysim.core.link import LOOPBACK, Link, local_network
from happysim.core.network import Delivery, duplicating, ordered, unordered
from happysim.core.node import Node
from happysim.core.script import Script

_Member = TypeVar("_Member", bound=Node | Script)

_LOCAL = local_network()


class Network:
    """A network of nodes and client scripts: a default link, and links of their own for some.

    `default` is the link between any two that have none of their own; None leaves them without a
    route. `delivery` is the kind of network, `unordered()`, `ordered()` or `duplicating()`.
    Methods that take nodes take their names as well. They raise `ScenarioError` for bad names, for
    what is no Link, and where the network is that of a world.
    """

    def __init__(
        self,
        name: str = "cluster",
        *,
        default: Link | None = _LOCAL,
        delivery: Delivery | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise ScenarioError(f"Network({name!r}): the name comes first, as text")
        if default is not None:
            _check_link(default, f"Network {name!r}: default")
        delivery = unordered() if delivery is None else delivery
        if delivery not in (unordered(), ordered(), duplicating()):
            raise ScenarioError(
                f"Network {name!r}: delivery={delivery!r}; write unordered(), ordered() or "
                "duplicating()"
            )
        self.name = name
        self.default = default
        self.delivery = delivery
        self._members: list[Node | Script] = []
        self._links: dict[tuple[str, str], Link] = {}
        self._is_kept = False

    # -- who is in it ----------------------------------------------------------------------------

    def join(self, member: _Member) -> _Member:
        """Add a node or client script to every world made on this network; returns it."""
        self._check_open()
        if not isinstance(member, Node | Script):
            raise ScenarioError(f"{self}: nodes and client scripts join it, not {member!r}")
        if any(member.name == other.name for other in self._members):
            raise ScenarioError(f"{self}: a node named {member.name!r} has joined it already")
        self._members.append(member)
        return member

    @property
    def members(self) -> tuple[Node | Script, ...]:
        """What has joined, in that order."""
        return tuple(self._members)

    # -- links -----------------------------------------------------------------------------------

    def add_link(
        self, source: Node | Script | str, target: Node | Script | str, link: Link
    ) -> None:
        """Let messages from `source` to `target`, that way only, go over `link`."""
        self._check_open()
        ends = self._name_of(source), self._name_of(target)
        _check_link(link, f"{self}: the link from {ends[0]} to {ends[1]}")
        if ends[0] == ends[1]:
            raise ScenarioError(f"{self}: {ends[0]} needs no link to itself; leave it out")
        self._links[ends] = link

    def add_bidirectional_link(
        self, one: Node | Script | str, other: Node | Script | str, link: Link
    ) -> None:
        """Let messages between the two go over a link of this kind, one each way."""
        self.add_link(one, other, link)
        self.add_link(other, one, link)

    def connect_all(self, nodes: Iterable[Node | Script | str], link: Link) -> None:
        """Connect each of `nodes` with every other by a link of this kind, one each way."""
        if isinstance(nodes, str):
            raise ScenarioError(f"{self}: connect_all({nodes!r}): give a list of nodes or names")
        names = list(dict.fromkeys(self._name_of(node) for node in nodes))
        for source in names:
            for target in names:
                if source != target:
                    self.add_link(source, target, link)

    def link(self, source: Node | Script | str, target: Node | Script | str) -> Link | None:
        """The link from `source` to `target`: its own, else the default; None: there is no route.

        What a node sends to itself arrives at once, whatever the default is.
        """
        ends = self._name_of(source), self._name_of(target)
        if ends[0] == ends[1]:
            return LOOPBACK
        return self._links.get(ends, self.default)

    @property
    def links(self) -> dict[tuple[str, str], Link]:
        """The links set, by the names of their two ends, in order of names."""
        return dict(sorted(self._links.items()))

    # -- for worlds ------------------------------------------------------------------------------

    @property
    def content(self) -> tuple[object, ...]:
        """For the engine: what two networks must share to be the same; members are not part."""
        return self.name, self.default, self.delivery.kind, tuple(self.links.items())

    def missing_from(self, given: Iterable[Node | Script]) -> list[Node | Script]:
        """For the engine: those that joined and are not among those given."""
        known = list(given)
        return [each for each in self._members if not any(each is other for other in known)]

    def kept_for(self, names: Iterable[str]) -> Network:
        """For the engine: a copy that no longer changes, for a world of these names.

        Raises `ScenarioError` where a link names a node that is not in the world.
        """
        known = list(names)
        for ends in self.links:
            for name in ends:
                if name not in known:
                    raise ScenarioError(
                        f"{self}: the link from {ends[0]} to {ends[1]} names {name!r}, which is "
                        f"not in this world; it has {', '.join(known)}"
                    )
        kept = Network(self.name, default=self.default, delivery=self.delivery)
        kept._members, kept._links = list(self._members), self.links
        kept._is_kept = True
        return kept

    def _check_open(self) -> None:
        if self._is_kept:
            raise ScenarioError(
                f"{self}: it is that of a world and does not change; make another Network, and a "
                "world of it"
            )

    def _name_of(self, node: Node | Script | str) -> str:
        name = node.name if isinstance(node, Node | Script) else node
        if not isinstance(name, str) or not name:
            raise ScenarioError(f"{self}: {node!r} is no node; give a node or its name")
        return name

    def __repr__(self) -> str:
        return f"Network {self.name!r}"


def _check_link(link: object, what: str) -> None:
    if not isinstance(link, Link):
        raise ScenarioError(
            f"{what} is {link!r}, not a Link; write datacenter_network(), or Link(constant(0.01))"
        )
