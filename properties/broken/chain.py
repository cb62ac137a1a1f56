"""Chains with one mistake each. Every class overrides the method that carries it."""

from __future__ import annotations

from happysim import Host, World, bounded, must_break
from happysim.protocols.chain import ChainMaster, ChainServer, Entry, Forward, Query
from properties import chain
from properties.chain import no_more_pings, only_n1_fails, quiet

# -- the invariant --------------------------------------------------------------------------------


class AppliesInOrderOfArrival(ChainServer):
    """A server takes updates on as they come."""

    def next_of(self, request: Forward) -> tuple[Entry, ...]:
        return tuple(entry for entry in request.entries if entry not in self.sent)


class PassesOnWhatACrashCanTake(ChainServer):
    """An update is passed on, or acknowledged, before it is on disk."""

    def persist(self, host: Host) -> None:
        pass


def updates_in_order_of_arrival() -> World:
    return chain.two_servers(AppliesInOrderOfArrival)


@bounded(within=lambda world: world["master"].chain.epoch <= 2)
def updates_in_memory() -> World:
    return chain.a_server_restarts(PassesOnWhatACrashCanTake)


a_link_reorders_two_updates = must_break(
    chain.states_are_what_sent_leads_to.over(
        updates_in_order_of_arrival, "a_link_reorders_two_updates"
    )
)
a_server_is_no_prefix_of_its_predecessor = must_break(
    chain.update_propagation_invariant.over(
        updates_in_order_of_arrival, "a_server_is_no_prefix_of_its_predecessor"
    )
)
a_crash_puts_a_server_behind_its_successor = must_break(
    chain.update_propagation_invariant.over(
        updates_in_memory, "a_crash_puts_a_server_behind_its_successor"
    )
)

# -- queries --------------------------------------------------------------------------------------


class AnyoneAnswers(ChainServer):
    """Queries are answered wherever they arrive, with the newest that is there."""

    def query(self, host: Host, client: str, request: Query) -> None:
        host.respond(self.machine.apply(self.state, request.command)[1])


class AnswersBeforeItHasJoined(ChainServer):
    """A new tail answers though it has not got the state."""

    @property
    def is_full(self) -> bool:
        return self.name in self.chain.servers


class TrustsItsDisk(ChainServer):
    """A tail that was taken out while it was down goes on as if nothing had happened."""

    def trusts_its_disk(self) -> bool:
        return True


def anyone_answers() -> World:
    clients = [
        chain.client("c1", ("n1", chain.X1)),
        chain.client("c2", ("n1", chain.READ), ("n2", chain.READ)),
    ]
    return chain.chain_of(2, *clients, kind=AnyoneAnswers)


@bounded(within=no_more_pings)
def new_tails_answer_at_once() -> World:
    return chain.a_server_joins(AnswersBeforeItHasJoined)


def tails_trust_their_disks() -> World:
    return chain.a_tail_returns(TrustsItsDisk)


the_head_answers_with_what_may_be_lost = must_break(
    chain.clients_see_one_machine.over(anyone_answers, "the_head_answers_with_what_may_be_lost")
)
a_new_tail_answers_from_nothing = must_break(
    chain.clients_see_one_machine.over(new_tails_answer_at_once, "a_new_tail_answers_from_nothing")
)
a_restarted_tail_answers_from_the_past = must_break(
    chain.clients_see_one_machine.over(
        tails_trust_their_disks, "a_restarted_tail_answers_from_the_past"
    )
)

# -- failures -------------------------------------------------------------------------------------


class TakesItsSuccessorToHaveAll(ChainServer):
    """New neighbours meet, and what the server between them was to pass on is forgotten."""

    def link(self, host: Host) -> None:
        self.acked = self.last
        host.cancel_timer("resend")


class SendsOnce(ChainServer):
    """What is lost is not sent again."""

    def resend(self, host: Host) -> None:
        pass


class LeavesNobodyWithTheState(ChainMaster):
    """The last server that has all of the state is taken out like any other."""

    def is_safe(self, server: str) -> bool:
        return True


@bounded(within=quiet)
def new_neighbours_say_nothing() -> World:
    return chain.the_middle_fails(TakesItsSuccessorToHaveAll)


@bounded(within=quiet)
def updates_are_sent_once() -> World:
    return chain.a_message_is_lost(SendsOnce)


@bounded(within=only_n1_fails)
def the_state_is_left_behind() -> World:
    return chain.the_only_full_server_fails(master=LeavesNobodyWithTheState)


what_the_middle_had_is_lost = must_break(
    chain.what_is_not_stable_is_sent_again.over(
        new_neighbours_say_nothing, "what_the_middle_had_is_lost"
    )
)
one_lost_message_stops_the_chain = must_break(
    chain.what_is_not_stable_is_sent_again.over(
        updates_are_sent_once, "one_lost_message_stops_the_chain"
    )
)
an_answered_update_is_on_no_server = must_break(
    chain.answered_updates_survive.over(
        the_state_is_left_behind, "an_answered_update_is_on_no_server"
    )
)
