"""Hazard: a known way to get a protocol wrong, and what catches it."""

from __future__ import annotations

from dataclasses import dataclass

from happysim.spec.property import Property, PropertyError


@dataclass(frozen=True)
class Hazard:
    """A mistake that was made before, with the properties that a variant with it breaks.

    `number` names it in a catalogue, `mistake` says in a line what goes wrong, and `caught_by` are
    properties that `must_break`. Each of these judges as some property does that the correct
    protocol has. Raises `PropertyError` where one is none that must break, or none is given.
    """

    number: int
    protocol: str
    mistake: str
    caught_by: tuple[Property, ...]

    def __init__(self, number: int, protocol: str, mistake: str, *caught_by: Property) -> None:
        for name, value in (
            ("number", number),
            ("protocol", protocol),
            ("mistake", mistake),
            ("caught_by", caught_by),
        ):
            object.__setattr__(self, name, value)
        if not caught_by:
            raise PropertyError(f"hazard {number}: nothing catches it; name a property")
        for prop in caught_by:
            if not isinstance(prop, Property) or not prop.must_break:
                raise PropertyError(f"hazard {number}: {prop!r} is no property that must break")
