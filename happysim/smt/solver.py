"""The one door to z3, which is loaded on first use."""

from __future__ import annotations

import math
import time
from typing import Any

from happysim.core.errors import HappysimError

_OLDEST = (4, 12)
# Of z3's parameters that are whole numbers.
_LARGEST = 2**31 - 1
_LATE, _SPENT = "the time ran out", "the effort is spent"


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


class Effort:
    """What is left of the work that may be asked of z3, by its own count (None: no limit).

    Unlike time, that is the same on a machine that is busy and on one that is not.
    """

    def __init__(self, most: int | None = None) -> None:
        self.left = most

    def ask(self, solver: Any, seconds: float, *assumed: Any) -> bool | str:
        """Whether what was added to a solver can be, with what is assumed; else why not known.

        While it solves, z3 takes Ctrl-C for itself: raises `KeyboardInterrupt` for such an end.
        """
        if seconds <= 0:
            return _LATE
        if self.left is not None and self.left <= 0:
            return _SPENT
        if not math.isinf(seconds):
            solver.set("timeout", max(1, min(int(seconds * 1000), _LARGEST)))
        began = time.perf_counter()
        found = self._check(solver, *assumed)
        if str(found) != "unknown":
            return str(found) == "sat"
        if self.left is not None and self.left <= 0:
            return _SPENT
        return why_unknown(solver.reason_unknown(), time.perf_counter() - began >= 0.95 * seconds)

    def _check(self, solver: Any, *assumed: Any) -> Any:
        if self.left is None:
            return solver.check(*assumed)
        before = _work_of(solver)
        solver.set("rlimit", min(self.left, _LARGEST))
        found = solver.check(*assumed)
        self.left -= _work_of(solver) - before
        return found


def _work_of(solver: Any) -> int:
    """z3's count of all the work so far."""
    return int(solver.statistics().get_key_value("rlimit count"))


def why_unknown(reason: str, is_late: bool = False) -> str:
    """What the solver says, in our words; `is_late` where it was given less time than has passed.

    It says "canceled" of an end by Ctrl-C, of some by a limit too. Raises `KeyboardInterrupt`.
    """
    if is_late or "timeout" in reason:
        return _LATE
    if "cancel" in reason or "interrupt" in reason:
        raise KeyboardInterrupt
    return f"the solver gave up: {reason}"
