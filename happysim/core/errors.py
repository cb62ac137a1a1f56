"""Errors of ours. Each says what is wrong, where, and what to write instead."""

from __future__ import annotations


class HappysimError(Exception):
    """Base of every error that happysim raises on purpose."""


class ProtocolError(HappysimError):
    """A node, message or script breaks a rule of the model (not: the protocol has a bug)."""


class FreezeError(ProtocolError):
    """A value cannot be part of a world: it has no content that two worlds could share."""


class DeterminismError(ProtocolError):
    """A handler run twice on the same input did two different things."""


class DiskFull(HappysimError):
    """`host.sync()` found the disk full: what was written since the last sync is not on it.

    A handler may catch it. One that lets it out takes its node down, which is no violation.
    """


class NoClock(ProtocolError):
    """A handler reads its clock where no time passes."""


class ScenarioError(HappysimError):
    """A scenario does not describe a world."""


class ScheduleError(HappysimError):
    """A choice of a schedule is not enabled where the schedule wants it."""


class CheckpointError(HappysimError):
    """A checkpoint cannot be read, or belongs to another search than the one that wants it."""


class HandlerRaised(HappysimError):
    """A handler raised: a violation, found by stepping a world by hand."""
