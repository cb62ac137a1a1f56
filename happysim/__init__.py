"""happysim: deterministic model checking and fault injection for protocols in ordinary Python."""

from happysim.core.byzantine import byzantine
from happysim.core.choice import Choice, Faults, Kind, unlimited
from happysim.core.disk import Atlas
from happysim.core.errors import (
    CheckpointError,
    DeterminismError,
    DiskFull,
    FreezeError,
    HandlerRaised,
    HappysimError,
    ProtocolError,
    ScenarioError,
    ScheduleError,
)
from happysim.core.history import Call, History, HistoryError
from happysim.core.host import Host
from happysim.core.latency import (
    Latency,
    constant,
    exponential,
    lognormal,
    percentiles,
    uniform_latency,
)
from happysim.core.link import (
    Link,
    cross_region_network,
    datacenter_network,
    internet_network,
    local_network,
    lossy_network,
    mobile_3g_network,
    mobile_4g_network,
    satellite_network,
    slow_network,
)
from happysim.core.message import message
from happysim.core.names import Name
from happysim.core.network import duplicating, ordered, unordered
from happysim.core.node import Node, action, durable, on
from happysim.core.prng import Random
from happysim.core.script import Operation, Script, TimedOut, call, post, sleep
from happysim.core.topology import Network
from happysim.core.view import NodeView
from happysim.core.world import World
from happysim.protocols.crdt import (
    CRDTStore,
    GCounter,
    LWWRegister,
    MVRegister,
    ORSet,
    PNCounter,
)
from happysim.protocols.election import (
    BullyStrategy,
    LeaderElection,
    RandomizedStrategy,
    RingStrategy,
)
from happysim.protocols.flexible_paxos import FlexiblePaxosNode
from happysim.protocols.lock import (
    DistributedLock,
    FencedStore,
    FencedWrite,
    LockGrant,
    LockServer,
    WriteAccepted,
    WriteRefused,
)
from happysim.protocols.multi_paxos import MultiPaxosNode
from happysim.protocols.paxos import PaxosNode, Propose
from happysim.protocols.phi_accrual import PhiAccrualDetector
from happysim.protocols.raft import RaftNode, ReadRequest
from happysim.protocols.requests import ClientRequest, NotLeader, Overwritten
from happysim.protocols.swim import MembershipProtocol
from happysim.search.check import check, explore
from happysim.search.policy import bfs, dfs, pct, replay, uniform
from happysim.search.shrink import shrink
from happysim.sim.disk import Disk
from happysim.sim.nemesis import at, randomly
from happysim.sim.net_faults import Bridge, Clog, Degrade, Echo, Partition, Ring, Swizzle
from happysim.sim.node_faults import (
    Crash,
    Drift,
    FillDisk,
    FreezeClock,
    Jump,
    LoseUnsynced,
    LyingSync,
    Misdirect,
    Pause,
    RollBack,
    Rot,
    Skew,
    Slow,
    SlowDisk,
    TearWrites,
    Upgrade,
    Wipe,
)
from happysim.sim.policy import simulated
from happysim.sim.scripted import replay_in_time
from happysim.sim.simulate import simulate
from happysim.sim.simulation import Simulation
from happysim.sim.swarm import swarm
from happysim.smt.induction import induction
from happysim.smt.margin import Margin, NoMargin, margin
from happysim.smt.prove import prove, smt
from happysim.smt.realise import Realised, Undecided, Unrealisable, realise, realise_schedule
from happysim.smt.timing import Timing
from happysim.spec.hazard import Hazard
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
    eventually,
    linearizable,
    monitor,
    must_break,
    quiescent,
    reachable,
    step_always,
    together,
)
from happysim.spec.report import Report
from happysim.spec.scenario import Scenario, bounded
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

__version__ = "0.1.0"

__all__ = [
    "Append",
    "Atlas",
    "Bridge",
    "Broken",
    "BullyStrategy",
    "CRDTStore",
    "Call",
    "Cas",
    "CasRegister",
    "CheckpointError",
    "Choice",
    "ClientRequest",
    "Clog",
    "Crash",
    "Degrade",
    "Delete",
    "DeterminismError",
    "Disk",
    "DiskFull",
    "DistributedLock",
    "Drift",
    "Echo",
    "Faults",
    "FencedStore",
    "FencedWrite",
    "FillDisk",
    "FlexiblePaxosNode",
    "FreezeClock",
    "FreezeError",
    "GCounter",
    "Get",
    "HandlerRaised",
    "HappysimError",
    "Hazard",
    "History",
    "HistoryError",
    "Holds",
    "Host",
    "Jump",
    "KeyValue",
    "Kind",
    "LWWRegister",
    "Latency",
    "LeaderElection",
    "Link",
    "LockGrant",
    "LockServer",
    "LoseUnsynced",
    "LyingSync",
    "MVRegister",
    "Margin",
    "MembershipProtocol",
    "Misdirect",
    "MultiPaxosNode",
    "Name",
    "Network",
    "NoMargin",
    "Node",
    "NodeView",
    "NotLeader",
    "ORSet",
    "Operation",
    "Overwritten",
    "PNCounter",
    "Partition",
    "Pause",
    "PaxosNode",
    "PhiAccrualDetector",
    "Property",
    "PropertyError",
    "Propose",
    "ProtocolError",
    "Put",
    "PutIf",
    "RaftNode",
    "Random",
    "RandomizedStrategy",
    "Read",
    "ReadRequest",
    "Realised",
    "Register",
    "Report",
    "Ring",
    "RingStrategy",
    "RollBack",
    "Rot",
    "Scenario",
    "ScenarioError",
    "ScheduleError",
    "Script",
    "SequentialObject",
    "Simulation",
    "Skew",
    "Slow",
    "SlowDisk",
    "Swizzle",
    "TearWrites",
    "TimedOut",
    "Timing",
    "Undecided",
    "Unknown",
    "Unrealisable",
    "Upgrade",
    "Verdict",
    "Wipe",
    "World",
    "Write",
    "WriteAccepted",
    "WriteRefused",
    "action",
    "always",
    "at",
    "bfs",
    "bounded",
    "byzantine",
    "call",
    "check",
    "constant",
    "cross_region_network",
    "datacenter_network",
    "dfs",
    "duplicating",
    "durable",
    "eventually",
    "explore",
    "exponential",
    "induction",
    "internet_network",
    "linearizable",
    "linearize",
    "local_network",
    "lognormal",
    "lossy_network",
    "margin",
    "message",
    "mobile_3g_network",
    "mobile_4g_network",
    "monitor",
    "must_break",
    "on",
    "ordered",
    "pct",
    "percentiles",
    "post",
    "prove",
    "quiescent",
    "randomly",
    "reachable",
    "realise",
    "realise_schedule",
    "replay",
    "replay_in_time",
    "satellite_network",
    "shrink",
    "simulate",
    "simulated",
    "sleep",
    "slow_network",
    "smt",
    "step_always",
    "swarm",
    "together",
    "uniform",
    "uniform_latency",
    "unlimited",
    "unordered",
]
