"""Raft with one mistake each, in its reads."""

from __future__ import annotations

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.raft import RaftNode
from happysim.protocols.raft import reads as reading
from properties.raft import clients_see_one_machine, terms
from properties.raft_reads import a_deposed_leader_is_asked, a_new_leader_is_asked


class TrustsItself(RaftNode):
    """A leader answers a read at once, and asks nobody whether it still leads."""

    def is_confirmed(self, number: int) -> bool:
        return True


@bounded(by=bfs(), within=terms(2, "n2"))
def leaders_that_trust_themselves() -> World:
    return a_deposed_leader_is_asked(TrustsItself)


a_deposed_leader_answers = must_break(clients_see_one_machine.over(leaders_that_trust_themselves))


class CountsAnyAnswer(RaftNode):
    """Answers to what was sent before the read came are counted as well."""

    def note_progress(self, host: Host, peer: str, index: int) -> None:
        super().note_progress(host, peer, index)
        self.rounds[peer] = self.round
        reading.serve(self, host)


@bounded(by=bfs(), within=terms(2, "n2"))
def leaders_that_count_any_answer() -> World:
    return a_deposed_leader_is_asked(CountsAnyAnswer)


an_old_answer_confirms_a_read = must_break(
    clients_see_one_machine.over(leaders_that_count_any_answer)
)


class KnowsNothingYet(RaftNode):
    """A new leader answers reads before it has committed anything in its term."""

    def has_committed_in_term(self) -> bool:
        return True


@bounded(by=bfs(), within=terms(2, "n2"))
def leaders_that_know_nothing_yet() -> World:
    return a_new_leader_is_asked(KnowsNothingYet)


a_new_leader_misses_a_write = must_break(
    clients_see_one_machine.over(leaders_that_know_nothing_yet)
)
