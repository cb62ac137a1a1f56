"""A map of keys to values, as a machine for a log to drive."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from happysim.core.errors import ProtocolError


@dataclass(frozen=True)
class Get:
    """Read the value of `key`; the result is the value, or None where there is none."""

    key: str


@dataclass(frozen=True)
class Set:
    """Give `key` a value; the result is None."""

    key: str
    value: Any


@dataclass(frozen=True)
class Delete:
    """Remove `key`; the result says whether it was there."""

    key: str


@dataclass(frozen=True)
class Cas:
    """Give `key` the value `update` if it has the value `expect`; the result says whether it did.

    A key that is not there has the value None.
    """

    key: str
    expect: Any
    update: Any


@dataclass(frozen=True)
class KeyValue:
    """The machine that maps keys to values: `Get`, `Set`, `Delete` and `Cas`.

    The state is a tuple of (key, value) pairs, in order of the keys. A value is never None: to
    `Set` it removes the key. Raises `ProtocolError` for any other command.
    """

    initial = ()

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The map after `command`, and its result."""
        if not isinstance(command, Get | Set | Delete | Cas):
            raise ProtocolError(
                f"KeyValue does not take {command!r}; it takes Get, Set, Delete and Cas of "
                "happysim.protocols.raft"
            )
        at = bisect_left(state, command.key, key=_key)
        found = at < len(state) and state[at][0] == command.key
        value = state[at][1] if found else None
        match command:
            case Get():
                return state, value
            case Set(_, new):
                return _put(state, at, found, (command.key, new)), None
            case Delete():
                return _put(state, at, found, (command.key, None)), found
            case Cas(_, expect, update):
                if type(value) is not type(expect) or value != expect:
                    return state, False
                return _put(state, at, found, (command.key, update)), True


def _key(pair: tuple[str, Any]) -> str:
    return pair[0]


def _put(
    state: tuple[tuple[str, Any], ...], at: int, found: bool, pair: tuple[str, Any]
) -> tuple[tuple[str, Any], ...]:
    """The pairs with `pair` at the place `at`, instead of the one that was `found` there."""
    kept = () if pair[1] is None else (pair,)
    return (*state[:at], *kept, *state[at + found :])
