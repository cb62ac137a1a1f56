"""The one door to z3, which is loaded on first use."""

from __future__ import annotations

from typing import Any

from happysim.core.errors import HappysimError

_OLDEST = (4, 12)


class SolverMissingError(HappysimError):
    """z3 is not installed, or is too old; the message says what to do."""


def load_z3() -> Any:
    """The z3 module. Raises `SolverMissingError`."""
    try:
        import z3  # noqa: PLC0415 - optional, and slow to load
    except Exception as error:  # a broken native library raises more than ImportError
        raise SolverMissingError(
            f"z3 cannot be loaded ({error}); install the package z3-solver"
        ) from None
    version = tuple(z3.get_version()[:2])
    if version < _OLDEST:
        has, wants = ".".join(map(str, version)), ".".join(map(str, _OLDEST))
        raise SolverMissingError(f"z3 {has} is too old; install z3-solver {wants} or newer")
    return z3


def z3_error() -> type[Exception]:
    """z3's own exception; where z3 is missing, one that nothing raises then."""
    try:
        error: type[Exception] = load_z3().Z3Exception
    except SolverMissingError:
        return SolverMissingError
    return error


def why_unknown(reason: str) -> str:
    """What the solver says, in our words.

    While it solves, z3 takes Ctrl-C for itself: raises `KeyboardInterrupt` for such an end.
    """
    if "cancel" in reason or "interrupt" in reason:
        raise KeyboardInterrupt
    if "timeout" in reason:
        return "the time ran out"
    return f"the solver gave up: {reason}"
