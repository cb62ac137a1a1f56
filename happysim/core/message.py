"""Messages: frozen dataclasses, compared by class and by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from happysim.core.errors import FreezeError, ProtocolError
from happysim.core.freeze import Frozen, freeze

_C = TypeVar("_C", bound=type[Any])


@dataclass_transform(frozen_default=True)
def message(cls: _C) -> _C:
    """Make a class a message: a frozen dataclass whose instances nodes may send.

    Fields hold immutable values: numbers, text, tuples, frozensets, enums, other messages.
    """
    return dataclass(frozen=True)(cls)  # type: ignore[return-value]


def freeze_message(sent: object, where: str) -> Frozen:
    """The content of a message about to be sent. Raises `ProtocolError` for a mutable one."""
    kind = type(sent)
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen or isinstance(sent, type):
        name = sent.__name__ if isinstance(sent, type) else kind.__name__
        raise ProtocolError(
            f"{where}: a {name} {'class' if isinstance(sent, type) else 'object'} is no message; "
            "send an instance of a class decorated with @message"
        )
    try:
        hash(sent)
    except TypeError as error:
        raise ProtocolError(
            f"{where}: {kind.__name__} holds a mutable value ({error}); "
            "use a tuple for a list, a frozenset for a set, a tuple of pairs for a dict"
        ) from None
    try:
        return freeze(sent, kind.__name__)
    except FreezeError as error:
        raise ProtocolError(f"{where}: {error}") from None
