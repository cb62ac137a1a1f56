"""Leader election with pluggable strategies: bully, ring, and randomized with votes."""

from happysim.protocols.election.bully import Answer, BullyStrategy, Challenge
from happysim.protocols.election.member import LeaderElection, Strategy
from happysim.protocols.election.messages import Campaign, Heartbeat, Victory
from happysim.protocols.election.randomized import CastVote, RandomizedStrategy, SeekVote
from happysim.protocols.election.ring import Passed, Receipt, RingStrategy, Token
from happysim.protocols.election.seniority import seniority

__all__ = [
    "Answer",
    "BullyStrategy",
    "Campaign",
    "CastVote",
    "Challenge",
    "Heartbeat",
    "LeaderElection",
    "Passed",
    "RandomizedStrategy",
    "Receipt",
    "RingStrategy",
    "SeekVote",
    "Strategy",
    "Token",
    "Victory",
    "seniority",
]
