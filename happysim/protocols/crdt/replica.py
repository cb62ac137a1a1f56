"""What the five types share: identity, states that travel, merging, freezing and JSON.

**Source**: Shapiro et al. 2011, section 2 (state-based objects); for deltas, Almeida, Shoker,
Baquero, *Delta state replicated data types*, JPDC 2018. States form a join
semilattice: an update only ever moves a state up, and merging takes the least upper bound.
Replicas that have received the same updates, in any order and any number of times, are equal.

**Assumes**: one writer per replica id, which never forgets what it wrote.

The second half matters as much as the first. Two writers under one id, or one that restarts empty
under its old id, reuse the numbers that tell their updates apart, and updates are lost. This
cannot be detected in general; `ORSet`, `MVRegister` and `LWWRegister` refuse the merges in which it
shows. A node therefore

- makes every replica under its own name. One that it first hears of by gossip is made by
  `from_state(self.name, state)`, never by copying the sender's: with the sender's id, both count
  under one id, and of three increments two are left;
- keeps replicas in durable fields, or takes a new id after a crash.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from reprlib import repr as short
from typing import Any, ClassVar, Self, TypeAlias

from happysim.protocols.crdt.codec import to_lists, to_tuples

State: TypeAlias = tuple[Any, ...]


class Replica(ABC):
    """One replica of a state-based data type. Mutable, so not hashable; equal by id and state.

    As a field of a node, a replica is frozen and thawed through two methods that any mutable value
    may offer: `__freeze__` and the classmethod `__thaw__`. A subclass that adds fields of its own
    extends both.
    """

    KIND: ClassVar[str]  # first item of every state, so that a counter is not merged into a set
    PARTS: ClassVar[tuple[str, ...]]  # names of the items after it

    def __init__(self, replica: str) -> None:
        if type(replica) is not str:
            raise TypeError(
                f"a replica id is a str, such as the name of its node, not {short(replica)}"
            )
        if not replica:
            raise ValueError("a replica id is not empty; use the name of its node")
        self._replica = replica

    @property
    def replica(self) -> str:
        """The id under which this replica writes. It never changes."""
        return self._replica

    @property
    @abstractmethod
    def value(self) -> Any:
        """What a reader sees."""

    @abstractmethod
    def _parts(self) -> State:
        """The contents, as the immutable items named by `PARTS`, in one canonical order."""

    @abstractmethod
    def _load(self, parts: State) -> None:
        """Replace the contents by `parts`, which comes from outside; ValueError if malformed."""

    @abstractmethod
    def _join(self, other: Self) -> None:
        """Move up to the least upper bound of both; on an error, change nothing."""

    @abstractmethod
    def _leq(self, other: Self) -> bool:
        """Whether `other` holds every update that this one does."""

    def state(self) -> State:
        """The contents without the replica id: an immutable value to send in a message.

        Built of str, int, bool and tuples alone. Equal contents give equal states, whatever the
        order of events, and values of different types give different ones.
        """
        return (self.KIND, *self._parts())

    @classmethod
    def from_state(cls, replica: str, state: State) -> Self:
        """A replica that writes as `replica` and starts from what another one has sent.

        Raises:
            TypeError: `state` is not a state of this type.
            ValueError: it claims to be one, and is malformed.
        """
        shape = f"({cls.KIND!r}, {', '.join(cls.PARTS)})"
        if not isinstance(state, tuple) or state[:1] != (cls.KIND,):
            raise TypeError(
                f"expected a state of a {cls.KIND}, {shape} as returned by state(),"
                f" not {short(state)}"
            )
        if len(state) != 1 + len(cls.PARTS):
            raise ValueError(f"a {cls.KIND} state is {shape}, not {short(state)}")
        made = cls(replica)
        made._load(state[1:])
        if made.state() != state:
            raise ValueError(
                f"{short(state)} is not a {cls.KIND} state in canonical form (sorted, nothing"
                " twice); pass what state() returned"
            )
        return made

    def merge(self, other: Self | State) -> None:
        """Take over every update that `other`, a replica of this type or its state, holds.

        Raises:
            TypeError: `other` is neither.
            ValueError: it is malformed, or could only come from two writers under one replica id.
                This replica is then unchanged.
        """
        self._join(self._peer(other, "merge"))

    def leq(self, other: Self | State) -> bool:
        """The lattice order: whether merging this into `other` would change nothing there.

        Raises:
            TypeError: `other` is neither a replica of this type nor its state.
            ValueError: it is malformed.
        """
        return self._leq(self._peer(other, "leq"))

    def _peer(self, other: object, method: str) -> Self:
        state = other.state() if isinstance(other, Replica) else other
        if not isinstance(state, tuple) or state[:1] != (self.KIND,):
            raise TypeError(
                f"{self.KIND}.{method} takes a {self.KIND} or what its state() returned,"
                f" not {short(other)}"
            )
        return self.from_state(self._replica, state)

    # -- deltas ----------------------------------------------------------------------------------

    def delta_since(self, before: Self | State) -> State:
        """What has changed since this replica was in the state `before`: mostly far less than all.

        A delta is an immutable value to send, like a state, and goes to `merge_delta`. Mutators
        named `..._delta` return that of one change.

        Raises:
            TypeError: `before` is neither a replica of this type nor its state.
            ValueError: it is malformed.
        """
        return (f"{self.KIND}Delta", *self._delta(self._peer(before, "delta_since")))

    def merge_delta(self, delta: State) -> bool:
        """Take over the updates of a delta; False where it comes too early, and nothing changes.

        Deltas may be joined in any order, and any number of times. But `ORSet` and `MVRegister`
        take one only after those of the same writer before it, or a state that holds them.

        Raises:
            TypeError: `delta` is not one of this type.
            ValueError: it is malformed, or could only come from two writers under one replica id.
        """
        if not isinstance(delta, tuple) or delta[:1] != (f"{self.KIND}Delta",):
            raise TypeError(
                f"{self.KIND}.merge_delta takes what delta_since() of a {self.KIND} or a mutator"
                f" named ..._delta returned, not {short(delta)}"
            )
        if len(delta) != len(self._delta(self)) + 1:
            raise ValueError(f"{short(delta)} has too many or too few parts for a delta")
        return self._join_delta(delta[1:])

    def _changed_by(self, change: Callable[[], object]) -> State:
        """The delta of one change."""
        before = self.state()
        change()
        return self.delta_since(before)

    def _delta(self, before: Self) -> State:
        """The parts of a delta: by default those of the whole state."""
        return self._parts()

    def _join_delta(self, parts: State) -> bool:
        """Join a delta; by default its parts are those of a state."""
        self._join(self.from_state(self._replica, (self.KIND, *parts)))
        return True

    def copy(self) -> Self:
        """An equal replica, for looking at. At most one of the two may go on writing."""
        return self.__thaw__(self.__freeze__())

    def to_dict(self) -> dict[str, Any]:
        """The replica as a value for JSON; types of elements survive the round trip."""
        return {"replica": self._replica, "state": to_lists(self.state())}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The replica that `to_dict` wrote.

        Raises:
            TypeError: `data` is not a dict, or holds a state of another type.
            ValueError: it is malformed.
        """
        if not isinstance(data, dict):
            raise TypeError(f"{cls.KIND}.from_dict takes what to_dict() returned, not {data!r}")
        if data.keys() != {"replica", "state"}:
            raise ValueError(
                f"{cls.KIND}.from_dict takes the keys 'replica' and 'state', not {list(data)}"
            )
        return cls.from_state(data["replica"], to_tuples(data["state"]))

    def __freeze__(self) -> State:
        """The replica as a value of str, int, bool and tuples: equal for equal replicas."""
        return (self._replica, self.state())

    @classmethod
    def __thaw__(cls, frozen: State) -> Self:
        """A fresh replica equal to the one that was frozen."""
        replica, state = frozen
        return cls.from_state(replica, state)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__freeze__() == other.__freeze__()

    __hash__ = None  # type: ignore[assignment]  # mutable, like list and set

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._replica!r}, value={self.value!r})"
