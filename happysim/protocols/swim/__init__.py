"""SWIM: group membership by probing at random, suspicion, and gossip."""

from happysim.protocols.swim.claims import Claim, Status, Update, standing
from happysim.protocols.swim.member import MembershipProtocol, Probe
from happysim.protocols.swim.messages import Ack, Join, Leave, News, Ping, PingRequest

__all__ = [
    "Ack",
    "Claim",
    "Join",
    "Leave",
    "MembershipProtocol",
    "News",
    "Ping",
    "PingRequest",
    "Probe",
    "Status",
    "Update",
    "standing",
]
