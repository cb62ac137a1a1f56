"""happysim: deterministic model checking and fault injection for protocols in ordinary Python."""

from happysim.core.choice import Choice, Faults, Kind, unlimited
from happysim.core.errors import (
    DeterminismError,
    FreezeError,
    HandlerRaised,
    HappysimError,
    ProtocolError,
    ScenarioError,
    ScheduleError,
)
from happysim.core.history import Call, History, HistoryError
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.network import duplicating, ordered, unordered
from happysim.core.node import Node, action, durable, on
from happysim.core.prng import Random
from happysim.core.script import Operation, Script, call
from happysim.core.view import NodeView
from happysim.core.world import World
from happysim.search.check import check, explore
from happysim.search.policy import bfs, dfs, replay, uniform
from happysim.search.report import Report
from happysim.search.shrink import shrink
from happysim.smt.prove import prove, smt
from happysim.spec.linearizability import linearize
from happysim.spec.objects import (
    Append,
    Cas,
    CasRegister,
    Delete,
    Get,
    KeyValue,
    Put,
    PutIf,
    Read,
    Register,
    SequentialObject,
    Write,
)
from happysim.spec.property import (
    Property,
    PropertyError,
    always,
    linearizable,
    must_break,
    quiescent,
    reachable,
    step_always,
)
from happysim.spec.scenario import Scenario, bounded
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

__version__ = "0.1.0"

__all__ = [
    "Append",
    "Broken",
    "Call",
    "Cas",
    "CasRegister",
    "Choice",
    "Delete",
    "DeterminismError",
    "Faults",
    "FreezeError",
    "Get",
    "HandlerRaised",
    "HappysimError",
    "History",
    "HistoryError",
    "Holds",
    "Host",
    "KeyValue",
    "Kind",
    "Node",
    "NodeView",
    "Operation",
    "Property",
    "PropertyError",
    "ProtocolError",
    "Put",
    "PutIf",
    "Random",
    "Read",
    "Register",
    "Report",
    "Scenario",
    "ScenarioError",
    "ScheduleError",
    "Script",
    "SequentialObject",
    "Unknown",
    "Verdict",
    "World",
    "Write",
    "action",
    "always",
    "bfs",
    "bounded",
    "call",
    "check",
    "dfs",
    "duplicating",
    "durable",
    "explore",
    "linearizable",
    "linearize",
    "message",
    "must_break",
    "on",
    "ordered",
    "prove",
    "quiescent",
    "reachable",
    "replay",
    "shrink",
    "smt",
    "step_always",
    "uniform",
    "unlimited",
    "unordered",
]
