"""The one door to z3, which is loaded on first use."""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace
from typing import Any

from happysim.core.errors import HappysimError

_OLDEST = (4, 12)
# Of z3's parameters that are whole numbers.
_LARGEST, _NO_LIMIT = 2**31 - 1, 0
LATE, SPENT = "the time ran out", "the effort is spent"


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


# What makes a term or a solver, and takes the context that it is of.
_VALUES = ("BoolVal", "IntVal", "RealVal", "BitVecVal")
_VARIABLES = ("Bool", "FreshBool", "Int", "Real", "BitVec")
_SOLVERS = ("Solver", "SimpleSolver", "Optimize")
# What finds the context in its terms, of which there is always one.
_OF_TERMS = ("Not", "Implies", "If", "Sum", "AtMost", "PbLe", "PbGe", "ULT", "ULE", "ToReal")
_OF_ANSWERS = ("is_true", "is_false", "sat", "unsat")


def fresh_z3() -> Any:
    """z3 with a context of its own, for one question. Raises `SolverMissingError`.

    z3 numbers all terms of a context, and orders by these numbers: in one that is shared, the model
    which it finds would depend on the questions of before.
    """
    z3 = load_z3()
    context = z3.Context()
    made = {
        name: partial(getattr(z3, name), ctx=context) for name in (*_VALUES, *_VARIABLES, *_SOLVERS)
    }
    shared = {name: getattr(z3, name) for name in (*_OF_TERMS, *_OF_ANSWERS)}
    return SimpleNamespace(
        And=lambda *terms: z3.And(*terms, context),
        Or=lambda *terms: z3.Or(*terms, context),
        **made,
        **shared,
    )


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
        self._whole: Effort | None = None

    def portion(self, most: int) -> Effort:
        """A part of it, of at most so much."""
        made = Effort(most if self.left is None else min(most, self.left))
        made._whole = self
        return made

    @property
    def is_spent(self) -> bool:
        """True where nothing is left."""
        return self.left is not None and self.left <= 0

    def spend(self, work: int) -> None:
        """Take so much off, also of what it is a portion of."""
        if self.left is not None:
            self.left -= work
        if self._whole is not None:
            self._whole.spend(work)

    def ask(self, solver: Any, seconds: float, *assumed: Any) -> bool | str:
        """Whether what was added to a solver can be, with what is assumed; else why not known.

        While it solves, z3 takes Ctrl-C for itself: raises `KeyboardInterrupt` for such an end.
        """
        if seconds <= 0:
            return LATE
        if self.is_spent:
            return SPENT
        # A solver keeps the limits of the last question, so both are always said.
        solver.set("timeout", max(1, int(min(seconds * 1000, _LARGEST))))
        began = time.perf_counter()
        found = self._check(solver, *assumed)
        if str(found) != "unknown":
            return str(found) == "sat"
        if self.is_spent:
            return SPENT
        return why_unknown(solver.reason_unknown(), time.perf_counter() - began >= 0.95 * seconds)

    def _check(self, solver: Any, *assumed: Any) -> Any:
        if self.left is None:
            solver.set("rlimit", _NO_LIMIT)
            return solver.check(*assumed)
        before = _work_of(solver)
        solver.set("rlimit", min(self.left, _LARGEST))
        found = solver.check(*assumed)
        self.spend(_work_of(solver) - before)
        return found


def _work_of(solver: Any) -> int:
    """z3's count of all the work so far."""
    return int(solver.statistics().get_key_value("rlimit count"))


def why_unknown(reason: str, is_late: bool = False) -> str:
    """What the solver says, in our words; `is_late` where it was given less time than has passed.

    It says "canceled" of an end by Ctrl-C, of some by a limit too. Raises `KeyboardInterrupt`.
    """
    if is_late or "timeout" in reason:
        return LATE
    if "cancel" in reason or "interrupt" in reason:
        raise KeyboardInterrupt
    return f"the solver gave up: {reason}"
