"""The table of a lock that a cluster keeps by consensus: who holds what, who waits, until when.

**Source**: Burrows, *The Chubby lock service for loosely-coupled distributed systems*, OSDI 2006,
sections 2.4 and 2.8 (locks, sequencers, and sessions with leases, in a replicated state machine);
Gray and Cheriton, *Leases*, SOSP 1989; Kleppmann, *How to do distributed locking*, 2016.

**Assumes**: commands are applied in one order by all servers, and each operation once. A client has
one operation open at a time. So what it asks says that it waits for nothing that it asked before.

**Deviates**:
- Time passes by the log: the leader proposes `Expire` at the end of each round, and a lease ends
  with the second one that finds it not renewed. It lasts for at least `round_seconds`, by the
  leader's clock, and for at most twice that, while there is a leader. A change of leaders makes it
  longer, not shorter: a new one waits for a whole round. No server's clock decides anything alone.
- One counter gives tokens to all locks, so they grow for each of them. Chubby counts per lock.
- A session is a client's name, and has no lease of its own; each lock that it holds has.
- No lock-delay: it protects stores that cannot check a token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.script import Operation
from happysim.protocols.lock.commands import (
    AcquireLock,
    Expire,
    ReleaseLock,
    RenewLock,
    TryLock,
    WithdrawLock,
)
from happysim.protocols.lock.grant import Grant, LockBusy, Withdrawn
from happysim.protocols.lock.messages import LockLost, Released, Renewed
from happysim.protocols.machine import Addressed, Answers

# -- the state -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A lock that is held: under which token, by whom, by which holds.

    `aged`: a round has ended since the lease began or was renewed; the next ends it.
    """

    lock: str
    token: int
    session: str
    holds: tuple[int, ...]
    aged: bool = False


@dataclass(frozen=True)
class Waiting:
    """A client that waits for a lock, and the operation to answer."""

    lock: str
    hold: int
    operation: Operation


@dataclass(frozen=True)
class Locks:
    """The whole table. `token` is the newest one granted, for any lock.

    `held` is in order of locks, `waiting` in order of asking.
    """

    token: int = 0
    held: tuple[Held, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def holding(self, lock: str) -> Held | None:
        """How a lock is held; None where it is free."""
        return next((held for held in self.held if held.lock == lock), None)

    def queue(self, lock: str) -> tuple[Waiting, ...]:
        """Who waits for a lock, longest waiting first."""
        return tuple(each for each in self.waiting if each.lock == lock)

    def with_held(self, lock: str, held: Held | None) -> Locks:
        """The table in which a lock is held so; None: by nobody."""
        others = [each for each in self.held if each.lock != lock]
        if held is not None:
            others.append(held)
        return replace(self, held=tuple(sorted(others, key=lambda each: each.lock)))


# -- the machine ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class LockTable:
    """The machine that keeps named locks: a `Service` of `happysim.protocols.machine`.

    Its commands are those of `commands`, and its state is `Locks`. `servers` are the names of those
    that keep it: a grant says where to release it. Raises `ProtocolError` for any other command.
    """

    servers: tuple[str, ...] = ()
    round_seconds: float = 10.0

    initial = Locks()

    def apply(self, state: Locks, command: Any) -> tuple[Locks, Answers]:
        """The table after `command`, and who is to be answered what."""
        if isinstance(command, Addressed):
            state = self.given_up(state, command)
            return self.serve(state, command.command, command.operation)
        match command:
            case ReleaseLock():
                state, _, answers = self.let_go(state, command)
                return state, answers
            case RenewLock():
                return self.renew(state, command)[0], ()
            case Expire():
                return self.expire(state)
            case AcquireLock() | TryLock() | WithdrawLock():
                return state, ()  # Nobody there to be answered.
        raise self.unknown(command)

    def serve(self, state: Locks, command: Any, operation: Operation) -> tuple[Locks, Answers]:
        """A command of a client that awaits an answer."""
        result: Any
        answers: Answers = ()
        match command:
            case AcquireLock(lock, again):
                return self.acquire(state, Waiting(lock, operation.number - again, operation))
            case TryLock(lock):
                asking = Waiting(lock, operation.number, operation)
                held = state.holding(lock)
                if held is None or held.session == operation.client:
                    return self.acquire(state, asking)
                result = LockBusy(lock)
            case ReleaseLock():
                state, result, answers = self.let_go(state, command)
            case RenewLock():
                state, result = self.renew(state, command)
            case WithdrawLock(lock, back):
                state, answers = self.withdraw(state, lock, operation.number - back, operation)
                result = Withdrawn(lock)
            case _:
                raise self.unknown(command)
        return state, ((operation, result), *answers)

    def unknown(self, command: Any) -> ProtocolError:
        """What is raised for a command that is none of a lock's."""
        return ProtocolError(
            f"LockTable does not take {command!r}; it takes AcquireLock, TryLock, ReleaseLock, "
            "RenewLock, WithdrawLock and Expire of happysim.protocols.lock"
        )

    def given_up(self, state: Locks, asked: Addressed) -> Locks:
        """Who asks anew waits for nothing of before: but for a repetition of the same request."""
        client, command = asked.operation.client, asked.command
        again = command.again if isinstance(command, AcquireLock) else 0
        kept = tuple(
            each
            for each in state.waiting
            if each.operation.client != client
            or (again and each.hold == asked.operation.number - again)
        )
        return state if kept == state.waiting else replace(state, waiting=kept)

    # -- asking ----------------------------------------------------------------------------------

    def acquire(self, state: Locks, asking: Waiting) -> tuple[Locks, Answers]:
        """Grant the lock if it is free or the client's own; else the client waits for it."""
        held = state.holding(asking.lock)
        if held is None:
            return self.grant(state, asking)
        if held.session == asking.operation.client:
            holds = tuple(sorted({*held.holds, asking.hold}))
            held = replace(held, holds=holds, aged=False)
            return state.with_held(held.lock, held), (self.granted(held, asking),)
        return self.queue(state, asking), ()

    def queue(self, state: Locks, asking: Waiting) -> Locks:
        """At the end of the queue; a repetition keeps its place, and is answered instead."""
        for at, each in enumerate(state.waiting):
            if (each.operation.client, each.hold) == (asking.operation.client, asking.hold):
                waiting = (*state.waiting[:at], asking, *state.waiting[at + 1 :])
                return replace(state, waiting=waiting)
        return replace(state, waiting=(*state.waiting, asking))

    def grant(self, state: Locks, asking: Waiting) -> tuple[Locks, Answers]:
        """Each grant has a token that is larger than all before, whichever server leads."""
        token = self.next_token(state)
        held = Held(asking.lock, token, asking.operation.client, (asking.hold,))
        state = replace(state, token=token).with_held(held.lock, held)
        return state, (self.granted(held, asking),)

    def next_token(self, state: Locks) -> int:
        """The counter is part of the state: it is where the log is, and outlives any server."""
        return state.token + 1

    def granted(self, held: Held, asking: Waiting) -> tuple[Operation, Grant]:
        """The answer to whom a lock is granted."""
        return asking.operation, Grant(held.lock, held.token, asking.hold, self.servers)

    # -- letting go ------------------------------------------------------------------------------

    def current(self, state: Locks, lock: str, token: int) -> Held | None:
        """How a lock is held under this token; None where that grant is over."""
        held = state.holding(lock)
        return held if held is not None and held.token == token else None

    def let_go(self, state: Locks, command: ReleaseLock) -> tuple[Locks, Any, Answers]:
        """Without its last hold a lock is free. A late release of an old grant does nothing."""
        held = self.current(state, command.lock, command.token)
        if held is None:
            return state, LockLost(command.lock, command.token), ()
        released = Released(command.lock, command.token, command.hold)
        state, answers = self.without(state, held, command.hold)
        return state, released, answers

    def without(self, state: Locks, held: Held, hold: int) -> tuple[Locks, Answers]:
        """The table without one hold of a lock."""
        holds = tuple(each for each in held.holds if each != hold)
        if holds:
            return state.with_held(held.lock, replace(held, holds=holds)), ()
        return self.free(state, held.lock)

    def free(self, state: Locks, lock: str) -> tuple[Locks, Answers]:
        """A lock is free: who has waited longest is next."""
        state = state.with_held(lock, None)
        first = next(iter(state.queue(lock)), None)
        if first is None:
            return state, ()
        state = replace(state, waiting=tuple(each for each in state.waiting if each != first))
        return self.grant(state, first)

    def withdraw(
        self, state: Locks, lock: str, hold: int, operation: Operation
    ) -> tuple[Locks, Answers]:
        """The client waits no more (it asks something else), and wants no late grant either."""
        held = state.holding(lock)
        if held is None or held.session != operation.client or hold not in held.holds:
            return state, ()
        return self.without(state, held, hold)

    # -- leases ----------------------------------------------------------------------------------

    def renew(self, state: Locks, command: RenewLock) -> tuple[Locks, Renewed | LockLost]:
        """The lease begins anew, unless it is over."""
        held = self.current(state, command.lock, command.token)
        if held is None:
            return state, LockLost(command.lock, command.token)
        renewed = state.with_held(held.lock, replace(held, aged=False))
        return renewed, Renewed(command.lock, command.token)

    def round_over(self, state: Locks) -> Expire | None:
        """What the leader proposes at the end of a round."""
        return Expire() if state.held else None

    def expire(self, state: Locks) -> tuple[Locks, Answers]:
        """Gray and Cheriton: whom the server has not heard from in time has lost its lease."""
        over = [held.lock for held in state.held if held.aged]
        state = replace(state, held=tuple(replace(held, aged=True) for held in state.held))
        answers: Answers = ()
        for lock in over:
            state, more = self.free(state, lock)
            answers += more
        return state, answers
