"""What live nodes hold: the same as a handler finds in a search, without copying it each time.

A search freezes a node after each handler and thaws it before the next. So its sets iterate in
order of content, its messages are no one else's, and what has no content is refused. A simulation
keeps nodes alive, and must show handlers the same. Three things see to it:

- after a handler, fields that may hold built-in sets have those replaced by stable ones. Which
  fields these are is read off the annotations; a field of plain data is not looked at;
- a message that may hold something mutable, or a set, is looked at when it is sent;
- annotations may be wrong, so now and then (after the 1st, 2nd, 4th, 8th ... call) a node or a
  message is frozen as in a search. What a search refuses is refused here, if later.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from happysim.core.codec import field_names
from happysim.core.errors import ProtocolError
from happysim.core.freeze import freeze, thaw
from happysim.core.stable_set import StableFrozenSet, StableSet

_ATOMS: frozenset[type] = frozenset({type(None), str, bytes, int, bool, float})
# There is one empty tuple.
NOTHING: tuple[Any, ...] = ()
# Sets that are stable stay so, whatever is added to them.
_CLOSED = frozenset({StableSet, StableFrozenSet})
_BOXES: tuple[type, ...] = (list, dict, deque, OrderedDict, defaultdict, Counter, bytearray)

# What an annotation promises. PLAIN and SHARED values hold no set; SHARED ones cannot be changed.
# A STABLE field is a set of shared values. ANYTHING promises nothing.
SHARED, PLAIN, STABLE, ANYTHING = range(4)


def promise_of(hint: Any, within: tuple[type, ...] = ()) -> int:
    """What a type annotation promises of a value."""
    if hint is None or hint in _ATOMS:
        return SHARED
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return SHARED
    if origin in (Union, types.UnionType):
        promised = max(promise_of(each, within) for each in inner)
        return promised if promised < STABLE else ANYTHING
    if origin in (set, frozenset) and inner and promise_of(inner[0], within) == SHARED:
        return STABLE
    if origin is tuple or origin in _BOXES:
        listed = [each for each in inner if each is not Ellipsis]
        promised = max([promise_of(each, within) for each in listed], default=ANYTHING)
        if promised >= STABLE:
            return ANYTHING
        return promised if origin is tuple else PLAIN
    return _promise_of_class(hint, within)


def _promise_of_class(kind: Any, within: tuple[type, ...]) -> int:
    if not isinstance(kind, type) or kind in within or hasattr(kind, "__freeze__"):
        return ANYTHING
    if issubclass(kind, enum.Enum):
        return SHARED
    if "__dataclass_fields__" not in vars(kind):
        return ANYTHING
    fields = hints_of(kind)
    promised = [promise_of(fields.get(name), (*within, kind)) for name in field_names(kind)]
    # A value may be of a subclass, which promises no more than it holds itself.
    promised += [_promise_of_class(each, within) for each in kind.__subclasses__()]
    if any(each >= STABLE for each in promised):
        return ANYTHING
    frozen = kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return max(promised, default=SHARED) if frozen else PLAIN


def hints_of(kind: type) -> dict[str, Any]:
    """A class's annotations, resolved; `Any` for all of them where that cannot be done."""
    known = _HINTS.get(kind)
    if known is None:
        known = _HINTS[kind] = _resolved(kind)
    return known


# Resolving compiles the text of every annotation, and each run asks for the same few classes.
_HINTS: dict[type, dict[str, Any]] = {}


def _resolved(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # names that exist for the type checker alone
        return dict.fromkeys(field_names(kind), Any)


# -- sets ----------------------------------------------------------------------------------------


def stable(value: Any) -> Any:
    """The value with every built-in set in it replaced by a stable one, in place where it can."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    known = _STABILISERS.get(kind)
    if known is None:
        known = _STABILISERS[kind] = _make_stabiliser(kind)
    return known(value)


def _itself(value: Any) -> Any:
    return value


def _stable_set(value: Any) -> Any:
    return StableSet([stable(each) for each in set.__iter__(value)])


def _stable_frozenset(value: Any) -> Any:
    return StableFrozenSet([stable(each) for each in frozenset.__iter__(value)])


def _stable_tuple(value: Any) -> Any:
    made = [stable(each) for each in value]
    if all(one is other for one, other in zip(made, value, strict=True)):
        return value
    return type(value)(*made) if hasattr(value, "_fields") else tuple(made)


def _stable_list(value: Any) -> Any:
    for at, each in enumerate(value):
        made = stable(each)
        if made is not each:
            value[at] = made
    return value


def _stable_dict(value: Any) -> Any:
    rekey = False
    for key, each in value.items():
        made = stable(each)
        if made is not each:
            value[key] = made
        rekey = rekey or stable(key) is not key
    if rekey:
        items = [(stable(key), each) for key, each in value.items()]
        value.clear()
        for key, each in items:
            value[key] = each
    return value


def _stable_dataclass(kind: type) -> Callable[[Any], Any]:
    hints = hints_of(kind)
    # Fields that promise plain data are not looked at.
    names = [name for name in field_names(kind) if promise_of(hints.get(name)) > PLAIN]
    if not names:
        return _itself
    if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return lambda value: _stable_in_place(value, names)

    def copied(value: Any) -> Any:
        for name in names:
            held = getattr(value, name)
            if stable(held) is not held:
                return thaw(freeze(value))
        return value

    return copied


def _stable_in_place(value: Any, names: list[str]) -> Any:
    for name in names:
        held = getattr(value, name)
        made = stable(held)
        if made is not held:
            setattr(value, name, made)
    return value


_STABILISERS: dict[type, Callable[[Any], Any]] = {
    set: _stable_set,
    StableSet: _itself,
    frozenset: _stable_frozenset,
    StableFrozenSet: _itself,
    tuple: _stable_tuple,
    list: _stable_list,
    deque: _stable_list,
    bytearray: _itself,
    **dict.fromkeys((dict, OrderedDict, defaultdict, Counter), _stable_dict),
}


def _make_stabiliser(kind: type) -> Callable[[Any], Any]:
    if hasattr(kind, "__freeze__") or issubclass(kind, enum.Enum):
        return _itself
    if dataclasses.is_dataclass(kind):
        return _stable_dataclass(kind)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _stable_tuple
    return _itself


def is_log(hint: Any) -> bool:
    """True for a list of frozen dataclasses."""
    inner = get_args(hint)
    return get_origin(hint) is list and len(inner) == 1 and is_frozen_class(inner[0])


def is_record(hint: Any) -> bool:
    """True for a mutable dataclass without hooks of its own."""
    return (
        isinstance(hint, type)
        and dataclasses.is_dataclass(hint)
        and not hint.__dataclass_params__.frozen  # type: ignore[attr-defined]
        and not hasattr(hint, "__freeze__")
    )


def is_frozen_class(kind: Any) -> bool:
    """True for a frozen dataclass without hooks of its own."""
    known = _FROZEN.get(kind) if isinstance(kind, type) else False
    if known is None:
        known = _FROZEN[kind] = (
            dataclasses.is_dataclass(kind)
            and getattr(kind, "__dataclass_params__").frozen  # noqa: B009 - not known to typing
            and not hasattr(kind, "__freeze__")
        )
    return known


_FROZEN: dict[type, bool] = {}


def is_set_free(value: Any) -> bool:
    """True for a value that nobody can change and that holds no set: whatever equals it neither."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    known = _SET_FREE.get(kind)
    if known is None:
        known = _SET_FREE[kind] = _make_look(kind)
    return known(value)


def _are_set_free(values: Iterable[Any]) -> bool:
    # Most are atoms, and a call or a generator would cost more than all the rest.
    for each in values:  # noqa: SIM110
        if type(each) not in _ATOMS and not is_set_free(each):
            return False
    return True


def looked_at(kind: type) -> list[str] | None:
    """The fields in which values of a class may hold a set; None where that is not all to see."""
    if kind in _ATOMS or issubclass(kind, enum.Enum):
        return []
    if not is_frozen_class(kind) or not _compares_all(kind):
        return None
    hints = hints_of(kind)
    # Fields that promise atoms are not looked at.
    return [name for name in field_names(kind) if not _promises_atoms(hints.get(name, Any))]


def _make_look(kind: type) -> Callable[[Any], bool]:
    """What looks for a set in values of a class, and for what can change."""
    names = looked_at(kind)
    if names is None:
        return lambda value: False
    if len(names) > 1:
        values_of = attrgetter(*names)
        return lambda value: _are_set_free(values_of(value))
    return lambda value: all(is_set_free(getattr(value, name)) for name in names)


def _promises_atoms(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return all(map(_promises_atoms, get_args(hint)))
    return hint is None or hint in _ATOMS


# What looks for a set in values of a class.
_SET_FREE: dict[type, Callable[[Any], bool]] = {tuple: _are_set_free}


def _compares_all(kind: type) -> bool:
    """False where equals may differ in a field: it may hold a set in one and none in the other."""
    own = kind.__dataclass_params__.eq  # type: ignore[attr-defined]
    return own and all(each.compare for each in dataclasses.fields(kind))


def cannot_change(value: Any) -> bool:
    """True for a value that nobody can change: an atom, or a tuple or frozen dataclass of such."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    fixed = kind is tuple or kind is StableFrozenSet or kind is frozenset or is_frozen_class(kind)
    return (fixed or issubclass(kind, enum.Enum)) and _can_hash(value)


def _can_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# -- messages ------------------------------------------------------------------------------------


class Check(NamedTuple):
    """How to make a message of a class safe to share. Where `get(message)` is nothing, it is so."""

    get: Callable[[Any], Any]
    look: Callable[[Any], Any]

    def __call__(self, message: Any) -> Any:
        held = self.get(message)
        return message if held is NOTHING or held is None else self.look(message)


def parcel(kind: type) -> Check | None:
    """How to make a message of a class safe to share; None where the class promises that it is."""
    promised = _promise_of_class(kind, ())
    if promised == SHARED:
        return None
    if _holds_hooks(kind):
        return Check(_itself, lambda message: thaw(freeze(message)))

    hints = hints_of(kind)
    risky = [name for name in field_names(kind) if promise_of(hints.get(name, Any)) != SHARED]

    def checked(message: Any) -> Any:
        for name in risky:
            held = getattr(message, name)
            if held is None or held is NOTHING:
                continue
            try:
                hash(held)
            except TypeError as error:
                raise ProtocolError(
                    f"{kind.__name__}.{name} holds a mutable value ({error}); use a tuple for a "
                    "list, a frozenset for a set, a tuple of pairs for a dict"
                ) from None
            if stable(held) is not held:
                return thaw(freeze(message))
        return message

    # Most of what is sent, of many kinds of message, holds nothing: a heartbeat without entries.
    return Check(attrgetter(risky[0]) if len(risky) == 1 else _itself, checked)


def _holds_hooks(kind: type) -> bool:
    """True where a field is of a class with `__freeze__`, which may be mutable and hashable."""
    pending, seen = [*hints_of(kind).values()], set()
    while pending:
        hint = pending.pop()
        pending += [each for each in get_args(hint) if each is not Ellipsis]
        if isinstance(hint, type) and hint not in seen:
            seen.add(hint)
            if hasattr(hint, "__freeze__"):
                return True
            if dataclasses.is_dataclass(hint):
                pending += hints_of(hint).values()
    return False
