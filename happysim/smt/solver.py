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
