"""Values as content: freeze to a hashable key, thaw to a fresh copy. Texts are in `describe.py`.

A frozen value is an atom (`None`, `str`, `bytes`, `int`) or a tuple that starts with the type it
came from. So `1`, `True` and `1.0` are three keys, and two message classes with equal fields are
two keys. A dict keeps its insertion order, which code can see; a set has none, so its elements are
put in order of content.

A class takes part by being a dataclass, a named tuple or an enum, or by the two methods
`__freeze__(self)`, which returns a plain value, and the classmethod `__thaw__(cls, value)`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any

from happysim.core.codec import field_names, held_fields, native_codec
from happysim.core.describe import describe, described_by, in_python
from happysim.core.errors import FreezeError
from happysim.core.names import Name, holds_name
from happysim.core.stable_set import StableFrozenSet, StableSet, set_ordering

Frozen = Hashable
_ATOMS = frozenset({type(None), str, bytes, int})
_DICTS: tuple[type, ...] = (dict, OrderedDict, Counter)


def freeze(value: Any, where: str = "value") -> Frozen:
    """The content of `value` as a hashable key.

    Raises `FreezeError`, naming the path of the culprit below `where`, for a value without content
    (a file, a lambda, a generator) and for a mutable value that is reached twice.
    """
    if type(value) in _ATOMS:
        return value  # type: ignore[no-any-return]
    if _CODEC is not None:
        made = _CODEC.freeze(value)
        if made is not NotImplemented:
            return made  # type: ignore[no-any-return]
    try:
        return _freeze(value, set())
    except (_NoContent, RecursionError):
        raise _explain(value, where) from None


def freeze_attributes(values: dict[str, Any], names: tuple[str, ...]) -> tuple[Frozen, ...] | None:
    """The contents of those values, in order; None where one has none, or two share a part."""
    if _CODEC is not None:
        made = _CODEC.freeze_fields(values, names)
        if made is not NotImplemented:
            return made  # type: ignore[no-any-return]
    entered: set[int] = set()
    try:
        return tuple([_freeze(values[name], entered) for name in names])
    except (_NoContent, RecursionError):
        return None


def have_content(values: dict[str, Any], names: tuple[str, ...]) -> bool:
    """True where `freeze_attributes` makes contents of those values."""
    if _CODEC is not None and _CODEC.can_freeze_fields(values, names):
        return True
    return freeze_attributes(values, names) is not None


def thaw_attributes(
    values: dict[str, Any], names: tuple[str, ...], fields: tuple[Frozen, ...]
) -> None:
    """Set values by name to fresh ones with those contents, one for each name."""
    if _CODEC is not None and _CODEC.thaw_fields(values, names, fields):
        return
    for name, frozen in zip(names, fields, strict=True):
        values[name] = thaw(frozen) if type(frozen) is tuple else frozen


class _NoContent(Exception):
    """Raised inside `_freeze`; `_explain` then walks again to find the path."""


def _freeze(value: Any, entered: set[int]) -> Frozen:
    kind = type(value)
    if kind in _ATOMS:
        return value  # type: ignore[no-any-return]
    return _freezer(kind)(value, entered)


def _enter(value: Any, entered: set[int]) -> None:
    # Two names for one list would become two lists when thawed, so a later write through one name
    # would no longer show through the other.
    if id(value) in entered:
        raise _NoContent
    entered.add(id(value))


def _freeze_sequence(value: Any, entered: set[int]) -> Frozen:
    # Here and below: most items are atoms, and a call for each would cost more than all the rest.
    return (
        type(value),
        *[item if type(item) in _ATOMS else _freeze(item, entered) for item in value],
    )


def _freeze_list(value: list[Any], entered: set[int]) -> Frozen:
    _enter(value, entered)
    return (list, *[item if type(item) in _ATOMS else _freeze(item, entered) for item in value])


def _freeze_deque(value: deque[Any], entered: set[int]) -> Frozen:
    _enter(value, entered)
    return (deque, value.maxlen, *[_freeze(item, entered) for item in value])


def _freeze_dict(value: dict[Any, Any], entered: set[int]) -> tuple[Frozen, ...]:
    _enter(value, entered)
    kind, composite = type(value), False
    flat: list[Frozen] = [kind]
    for key, item in value.items():
        frozen = _freeze(key, entered)
        composite = composite or type(frozen) is tuple
        flat.append(frozen)
        flat.append(_freeze(item, entered))
    if composite and kind is not OrderedDict and any(map(holds_name, flat[1::2])):
        flat[1:] = pairs_in_order(flat[1:])
    return tuple(flat)


def pairs_in_order(flat: list[Frozen]) -> list[Frozen]:
    """The keys and items of a frozen dict, by turns, in order of content."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    ordered = sorted(pairs, key=lambda pair: (describe(pair[0]), describe(pair[1])))
    return [each for pair in ordered for each in pair]


def _freeze_defaultdict(value: defaultdict[Any, Any], entered: set[int]) -> Frozen:
    factory = value.default_factory
    if factory is not None and not isinstance(factory, type):
        raise _NoContent
    return (defaultdict, factory, *_freeze_dict(value, entered)[1:])


def _freeze_set(value: set[Any], entered: set[int]) -> Frozen:
    _enter(value, entered)
    return (set, *_elements(value, entered))


def _freeze_frozenset(value: frozenset[Any], entered: set[int]) -> Frozen:
    return (frozenset, *_elements(value, entered))


def _elements(value: set[Any] | frozenset[Any], entered: set[int]) -> list[Frozen]:
    base = set.__iter__ if isinstance(value, set) else frozenset.__iter__
    frozen = [_freeze(item, entered) for item in base(value)]  # type: ignore[arg-type]
    if len(frozen) < 2:
        return frozen
    return sorted(frozen, key=ascii if _ATOMS.issuperset(map(type, frozen)) else describe)


def _freeze_bytearray(value: bytearray, entered: set[int]) -> Frozen:
    _enter(value, entered)
    return (bytearray, bytes(value))


def _freeze_enum(value: enum.Enum, entered: set[int]) -> Frozen:
    # A combination of flags need not have a name.
    return (type(value), value.value if isinstance(value, enum.Flag) else value.name)


def _freeze_hooked(value: Any, entered: set[int]) -> Frozen:
    _enter(value, entered)
    return (type(value), _freeze(value.__freeze__(), set()))


def _dataclass_freezer(kind: type) -> Callable[[Any, set[int]], Frozen]:
    names, held = field_names(kind), held_fields(kind)
    mutable = not kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    values_of = _values_of(names)

    def freeze_dataclass(value: Any, entered: set[int]) -> Frozen:
        if mutable:
            _enter(value, entered)
        if len(getattr(value, "__dict__", held)) != len(held):
            raise _NoContent
        try:
            items = values_of(value)
        except AttributeError:
            raise _NoContent from None
        return (kind, *[item if type(item) in _ATOMS else _freeze(item, entered) for item in items])

    return freeze_dataclass


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """What gets the values of some attributes at once."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: [getattr(value, name) for name in names]


def _refuse(value: Any, entered: set[int]) -> Frozen:
    raise _NoContent


# Kinds that are refused, each with what to keep instead.
_ADVICE: dict[type, str] = {}


def refuse_kind(kind: type, advice: str) -> None:
    """Never freeze values of this class; the error says `advice`."""
    _FREEZERS[kind] = _refuse
    _ADVICE[kind] = advice
    if _CODEC is not None:
        _CODEC.forget()


_FREEZERS: dict[type, Callable[[Any, set[int]], Frozen]] = {
    bool: lambda value, entered: (bool, value),
    float: lambda value, entered: (float, value.hex()),
    Name: lambda value, entered: (Name, str(value)),
    tuple: _freeze_sequence,
    list: _freeze_list,
    deque: _freeze_deque,
    dict: _freeze_dict,
    OrderedDict: _freeze_dict,
    Counter: _freeze_dict,
    defaultdict: _freeze_defaultdict,
    set: _freeze_set,
    StableSet: _freeze_set,
    frozenset: _freeze_frozenset,
    StableFrozenSet: _freeze_frozenset,
    bytearray: _freeze_bytearray,
}
_FREEZERS_BUILT_IN = frozenset(_FREEZERS)


def _freezer(kind: type) -> Callable[[Any, set[int]], Frozen]:
    known = _FREEZERS.get(kind)
    if known is None:
        known = _FREEZERS[kind] = _make_freezer(kind)
    return known


def _make_freezer(kind: type) -> Callable[[Any, set[int]], Frozen]:
    if hasattr(kind, "__freeze__") and hasattr(kind, "__thaw__"):
        return _freeze_hooked
    if issubclass(kind, enum.Enum):
        return _freeze_enum
    if dataclasses.is_dataclass(kind):
        return _dataclass_freezer(kind)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _freeze_sequence
    return _refuse


def _explain(value: Any, path: str) -> FreezeError:
    """The error for the first value at or below `path` that cannot be frozen."""
    try:
        found = _search(value, path, {})
    except RecursionError:
        found = None
    return found or FreezeError(f"{path} is nested too deeply; keep flatter data there")


def _search(value: Any, path: str, entered: dict[int, str]) -> FreezeError | None:
    kind = type(value)
    if kind in _ATOMS or kind in (bool, float, Name):
        return None
    freezer = _freezer(kind)
    if freezer is _refuse:
        return FreezeError(
            f"{path} holds a {kind.__name__}, which has no content to compare; "
            + _ADVICE.get(
                kind,
                "keep plain data there: numbers, text, lists, dicts, sets or dataclasses of them",
            )
        )
    fields = dataclasses.is_dataclass(kind) and freezer is not _freeze_hooked
    mutable = fields and not kind.__dataclass_params__.frozen
    if mutable or isinstance(value, _OWNED) or freezer is _freeze_hooked:
        if id(value) in entered:
            return FreezeError(
                f"{path} is the same {kind.__name__} object as {entered[id(value)]}; "
                "each field must own its value, so store a copy"
            )
        entered[id(value)] = path
    if isinstance(value, defaultdict) and not isinstance(value.default_factory, type | None):
        return FreezeError(
            f"{path} has the default factory {value.default_factory!r}; "
            "use a class such as int or list there"
        )
    if fields:
        own, held = getattr(value, "__dict__", {}), held_fields(kind)
        extra = sorted(set(own) - held)
        if extra:
            return FreezeError(f"{path}.{extra[0]} is not a field of {kind.__name__}")
        names = field_names(kind)
        unset = [n for n in names if (n not in own if n in held else not hasattr(value, n))]
        if unset:
            return FreezeError(f"{path}.{unset[0]} was deleted; set it to None instead")
    for child, at in _children(value, path, kind):
        found = _search(child, at, entered)
        if found is not None:
            return found
    return None


_OWNED = (list, dict, set, deque, bytearray)


def _children(value: Any, path: str, kind: type) -> list[tuple[Any, str]]:
    if hasattr(kind, "__freeze__"):
        return [(value.__freeze__(), f"{path}.__freeze__()")]
    if issubclass(kind, enum.Enum):
        return []
    if dataclasses.is_dataclass(kind):
        return [(getattr(value, name), f"{path}.{name}") for name in field_names(kind)]
    if isinstance(value, dict):
        keys = [(key, f"a key of {path}") for key in value]
        return keys + [(item, f"{path}[{key!r:.40}]") for key, item in value.items()]
    if isinstance(value, bytearray):
        return []
    if isinstance(value, (set, frozenset)):
        return [(item, f"an element of {path}") for item in value]
    return [(item, f"{path}[{index}]") for index, item in enumerate(value)]


def thaw(frozen: Frozen) -> Any:
    """A fresh value with the content of `frozen`; shares no mutable part with any other."""
    if type(frozen) is not tuple:
        return frozen
    if _CODEC is not None:
        made = _CODEC.thaw(frozen)
        if made is not NotImplemented:
            return made
    return _thaw(frozen)


def _thaw(frozen: tuple[Any, ...]) -> Any:
    known = _THAWERS.get(frozen[0])
    return (_thawer(frozen[0]) if known is None else known)(frozen)


def _thaw_items(frozen: tuple[Any, ...]) -> list[Any]:
    return [_thaw(item) if type(item) is tuple else item for item in frozen[1:]]


def _thaw_tuple(frozen: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([_thaw(item) if type(item) is tuple else item for item in frozen[1:]])


def _thaw_dict(frozen: tuple[Any, ...]) -> Any:
    items = _thaw_items(frozen)
    made: dict[Any, Any] = frozen[0]()
    # One by one: the constructor of a Counter would count the pairs.
    for key, item in zip(items[::2], items[1::2], strict=True):
        made[key] = item
    return made


def _thaw_defaultdict(frozen: tuple[Any, ...]) -> Any:
    items = _thaw_items(frozen[1:])
    return defaultdict(frozen[1], zip(items[::2], items[1::2], strict=True))


def _object_thawer(kind: type) -> Callable[[tuple[Any, ...]], Any]:
    if hasattr(kind, "__thaw__"):
        return lambda frozen: kind.__thaw__(thaw(frozen[1]))
    if issubclass(kind, enum.Flag):
        return lambda frozen: kind(frozen[1])
    if issubclass(kind, enum.Enum):
        return lambda frozen: kind[frozen[1]]
    if issubclass(kind, tuple):
        return lambda frozen: kind(*_thaw_items(frozen))
    names = field_names(kind)
    assign = object.__setattr__

    def thaw_dataclass(frozen: tuple[Any, ...]) -> Any:
        made = object.__new__(kind)
        for name, item in zip(names, frozen[1:], strict=True):
            assign(made, name, _thaw(item) if type(item) is tuple else item)
        return made

    return thaw_dataclass


_THAWERS: dict[type, Callable[[tuple[Any, ...]], Any]] = {
    bool: lambda frozen: frozen[1],
    float: lambda frozen: float.fromhex(frozen[1]),
    Name: lambda frozen: Name(frozen[1]),
    bytearray: lambda frozen: bytearray(frozen[1]),
    tuple: _thaw_tuple,
    list: _thaw_items,
    deque: lambda frozen: deque(_thaw_items(frozen[1:]), maxlen=frozen[1]),
    set: lambda frozen: StableSet(_thaw_items(frozen)),
    frozenset: lambda frozen: StableFrozenSet(_thaw_items(frozen)),
    defaultdict: _thaw_defaultdict,
    **dict.fromkeys(_DICTS, _thaw_dict),
}


def _thawer(kind: type) -> Callable[[tuple[Any, ...]], Any]:
    known = _THAWERS.get(kind)
    if known is None:
        known = _THAWERS[kind] = _object_thawer(kind)
    return known


set_ordering(lambda element: describe(freeze(element, "an element of a set")))


def _shape(kind: type) -> str:
    """What `codec.native_codec` asks of a class."""
    freezer = _freezer(kind)
    if freezer is _freeze_enum:
        return "unknown" if issubclass(kind, enum.Flag) else "enum"
    if freezer is _freeze_sequence:
        return "named tuple"
    if freezer is _freeze_hooked:
        return "hooked"
    if freezer is _refuse or kind in _FREEZERS_BUILT_IN:
        return "unknown"
    return "dataclass"


_CODEC = native_codec(_shape, in_python)
if _CODEC is not None:
    described_by(_CODEC.describe)
