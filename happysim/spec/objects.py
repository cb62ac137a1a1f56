"""Sequential objects: what one correct copy would answer to one operation at a time.

An object is a pure function from a state and an operation to the next state and a result.
Operations are frozen dataclasses, so that a protocol can use them as its request messages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from happysim.core.describe import describe
from happysim.core.errors import HappysimError
from happysim.core.freeze import freeze


class UnknownOperation(HappysimError, TypeError):
    """A sequential object was given an operation that it does not take."""


class SequentialObject(ABC):
    """A type of object, by its sequential specification (Herlihy and Wing 1990, section 2.2).

    To define one, set `initial`, the state before the first operation, and write `apply`. States
    and results are values that `freeze` takes; states that freeze to one key are one state.
    """

    initial: Any

    @abstractmethod
    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        """The next state and the result of `operation` in `state`, and a function of these alone.

        Raises UnknownOperation for an operation that the object does not take.
        """

    def key(self, operation: Any) -> Hashable:
        """The part of the object that `operation` reads and changes, or None if it has no parts.

        An object with parts is linearizable if each part is (locality: Herlihy and Wing 1990,
        theorem 1), which is far cheaper to check. Give a key to every operation or to none.
        """
        return None

    def observes(self, operation: Any, result: Any) -> bool:
        """Whether `operation`, wherever it gives `result`, leaves the state as it was.

        Only makes the checker faster: such a call may take effect as soon as its result is right,
        without trying the alternatives. False is always correct.
        """
        return False

    def unreachable(self, state: Any, operation: Any, result: Any, others: Sequence[Any]) -> bool:
        """Whether `operation` cannot give `result` from `state`, whichever `others` come before it.

        Only makes the checker faster: it gives up an order of calls that has ruled out one of those
        that are left. False is always correct.
        """
        return False


@dataclass(frozen=True)
class Read:
    """Read a register; the result is its value."""


@dataclass(frozen=True)
class Write:
    """Set a register to `value`; the result is None."""

    value: Any


@dataclass(frozen=True)
class Cas:
    """Set a register to `update` if it holds `expect`; the result says whether it did."""

    expect: Any
    update: Any


@dataclass(frozen=True)
class Get:
    """Read the value of `key`; the result is the value, or the default of the map."""

    key: Any


@dataclass(frozen=True)
class Put:
    """Set `key` to `value`; the result is None."""

    key: Any
    value: Any


@dataclass(frozen=True)
class Append:
    """Add `value` with `+` to the end of the value of `key`; the result is None."""

    key: Any
    value: Any


@dataclass(frozen=True)
class Delete:
    """Return `key` to the default of the map; the result is None."""

    key: Any


@dataclass(frozen=True)
class PutIf:
    """Set `key` to `update` if it holds `expect`; the result says whether it did."""

    key: Any
    expect: Any
    update: Any


@dataclass(frozen=True)
class Register(SequentialObject):
    """A register with `Read` and `Write`."""

    initial: Any = None

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        match operation:
            case Read():
                return state, state
            case Write(value):
                return value, None
        raise _unknown(self, operation, Read, Write)

    def observes(self, operation: Any, result: Any) -> bool:
        return isinstance(operation, Read)

    def unreachable(self, state: Any, operation: Any, result: Any, others: Sequence[Any]) -> bool:
        return _never_holds(state, operation, result, others)


@dataclass(frozen=True)
class CasRegister(SequentialObject):
    """A register with `Read`, `Write` and `Cas`."""

    initial: Any = None

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        match operation:
            case Read():
                return state, state
            case Write(value):
                return value, None
            case Cas(expect, update):
                return (update, True) if _same(state, expect) else (state, False)
        raise _unknown(self, operation, Read, Write, Cas)

    def observes(self, operation: Any, result: Any) -> bool:
        return isinstance(operation, Read) or result is False

    def unreachable(self, state: Any, operation: Any, result: Any, others: Sequence[Any]) -> bool:
        return _never_holds(state, operation, result, others)


@dataclass(frozen=True)
class KeyValue(SequentialObject):
    """A map with `Get`, `Put`, `Append`, `Delete` and `PutIf`; each key is a part of its own.

    A key that was never written, or was deleted, holds `default`. The state is a tuple of
    (key, value) pairs, without those that hold the default, in order of the content of the keys.
    """

    default: Any = None
    initial = ()

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        if not isinstance(operation, Get | Put | Append | Delete | PutIf):
            raise _unknown(self, operation, Get, Put, Append, Delete, PutIf)
        key = operation.key
        value = next((held for name, held in state if _same(name, key)), self.default)
        match operation:
            case Get():
                return state, value
            case PutIf(_, expect, update):
                swaps = _same(value, expect)
                return (self._put(state, key, update) if swaps else state), swaps
            case Put(_, new):
                return self._put(state, key, new), None
            case Append(_, tail):
                return self._put(state, key, _joined(value, tail, key)), None
            case Delete():
                return self._put(state, key, self.default), None

    def _put(self, state: Any, key: Any, value: Any) -> tuple[tuple[Any, Any], ...]:
        pairs = [pair for pair in state if not _same(pair[0], key)]
        if not _same(value, self.default):
            pairs.append((key, value))
        return tuple(sorted(pairs, key=_key_text)) if len(pairs) > 1 else tuple(pairs)

    def key(self, operation: Any) -> Any:
        return operation.key

    def observes(self, operation: Any, result: Any) -> bool:
        return isinstance(operation, Get) or result is False

    def unreachable(self, state: Any, operation: Any, result: Any, others: Sequence[Any]) -> bool:
        if not isinstance(operation, Get):
            return False
        # What the key holds last was put there whole, or is in it now, and then only grew.
        whole = [held for name, held in state if _same(name, operation.key)] or [self.default]
        grows = False
        for other in others:
            match other:
                case Append():
                    grows = True
                case Put(_, value) | PutIf(_, _, value):
                    whole.append(value)
                case Delete():
                    whole.append(self.default)
        reaches = _may_grow if grows else _same
        return not any(reaches(value, result) for value in whole)


def _same(left: Any, right: Any) -> bool:
    """Equal, and of equal types all the way in: 1 is not True, and (1,) is not (1.0,)."""
    return freeze(left) == freeze(right)


def _never_holds(state: Any, operation: Any, result: Any, others: Sequence[Any]) -> bool:
    """Whether a register never holds what `operation` must find in it to give `result`."""
    match operation:
        case Read():
            needed = result
        case Cas(expect, _) if result is True:
            needed = expect
        case _:
            return False
    key = freeze(needed)
    if freeze(state) == key:
        return False
    for other in others:
        match other:
            case Write(value) | Cas(_, value) if freeze(value) == key:
                return False
    return True


def _may_grow(value: Any, result: Any) -> bool:
    """Whether `result` could be `value` and what was appended; of sequences alone it is known."""
    if isinstance(value, str | bytes | tuple) and isinstance(result, type(value)):
        return result[: len(value)] == value
    return True


def _key_text(pair: tuple[Any, Any]) -> str:
    return describe(freeze(pair[0]))


def _joined(value: Any, tail: Any, key: Any) -> Any:
    try:
        return value + tail
    except TypeError:
        raise UnknownOperation(
            f"cannot append {tail!r} to {value!r}, the value of key {key!r}; a map for Append "
            'needs a default of the type that it appends, as in KeyValue(default="")'
        ) from None


def _unknown(taker: SequentialObject, operation: Any, *takes: type) -> UnknownOperation:
    names = ", ".join(kind.__name__ for kind in takes)
    return UnknownOperation(f"{type(taker).__name__} does not take {operation!r}; it takes {names}")
