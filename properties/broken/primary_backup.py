"""Primary and backups with one mistake each. Every class overrides the method that carries it."""

from __future__ import annotations

from typing import Any

from happysim import Host, World, bounded, must_break
from happysim.protocols.primary_backup import (
    Entry,
    PrimaryBackupServer,
    Replicate,
    Session,
    Snapshot,
    ViewService,
)
from properties import primary_backup
from properties.primary_backup import (
    X1,
    X2,
    a_deposed_primary_of_three,
    a_message_is_lost,
    a_server_restarts,
    a_short_log,
    client,
    epochs,
    failover,
    servers_and_service,
    succeed,
    suspect,
    three_servers,
    two_clients,
)

# -- replica consistency --------------------------------------------------------------------------


class AppliesInOrderOfArrival(PrimaryBackupServer):
    """A backup applies whatever comes, as it comes."""

    def next_of(self, request: Replicate) -> tuple[Entry, ...]:
        return tuple(entry for entry in request.entries if entry not in self.log)


class SendsWhatIsLeftOfItsLog(PrimaryBackupServer):
    """A backup that lags by more than the log keeps gets what is left, with a gap before it."""

    def holds(self, place: Any) -> bool:
        return place[0] <= self.epoch


class TakesLateSnapshots(PrimaryBackupServer):
    """A snapshot counts whenever it comes, and takes away what was confirmed since."""

    def is_late(self, snapshot: Snapshot) -> bool:
        return False


def entries_in_order_of_arrival() -> World:
    return two_clients(AppliesInOrderOfArrival)


def logs_with_gaps() -> World:
    return a_short_log(SendsWhatIsLeftOfItsLog)


def late_snapshots() -> World:
    return a_short_log(TakesLateSnapshots, mode="sync")


a_backup_applies_out_of_order = must_break(
    primary_backup.states_are_what_the_log_says.over(
        entries_in_order_of_arrival, "a_backup_applies_out_of_order"
    )
)
two_copies_differ = must_break(
    primary_backup.one_place_one_state.over(entries_in_order_of_arrival, "two_copies_differ")
)
a_backup_skips_entries = must_break(
    primary_backup.one_place_one_state.over(logs_with_gaps, "a_backup_skips_entries")
)
a_confirmed_entry_is_taken_back = must_break(
    primary_backup.an_answered_command_is_on_enough_backups.over(
        late_snapshots, "a_confirmed_entry_is_taken_back"
    )
)

# -- what an answer promises ----------------------------------------------------------------------


class AnswersAtOnce(PrimaryBackupServer):
    """A write is answered without an answer from the backup, whatever the mode."""

    def is_on_enough(self, number: int) -> bool:
        return True


class AnswersCopiesAtOnce(PrimaryBackupServer):
    """A request that comes again is answered with the result, though no backup has it yet."""

    def may_answer(self, session: Session) -> bool:
        return True


class AnswersBeforeItIsOnDisk(PrimaryBackupServer):
    """Entries are confirmed, and offered to backups, before they are durable."""

    def persist(self, host: Host) -> None:
        pass


def answers_without_backups() -> World:
    return two_clients(AnswersAtOnce)


@bounded(within=epochs(2))
def answers_to_copies() -> World:
    return failover(AnswersCopiesAtOnce)


def answers_from_memory() -> World:
    return a_server_restarts(AnswersBeforeItIsOnDisk, network="duplicating")


a_sync_write_is_on_no_backup = must_break(
    primary_backup.an_answered_command_is_on_enough_backups.over(
        answers_without_backups, "a_sync_write_is_on_no_backup"
    )
)
a_copied_request_is_answered_too_early = must_break(
    primary_backup.clients_see_one_machine.over(
        answers_to_copies, "a_copied_request_is_answered_too_early"
    )
)
a_confirmed_entry_is_lost_in_a_crash = must_break(
    primary_backup.an_answered_command_is_on_enough_backups.over(
        answers_from_memory, "a_confirmed_entry_is_lost_in_a_crash"
    )
)

# -- convergence ----------------------------------------------------------------------------------


class SendsOnce(PrimaryBackupServer):
    """What is lost is not sent again."""

    def keep_resending(self, host: Host) -> None:
        pass


def entries_are_sent_once(mode: str = "async") -> World:
    return a_message_is_lost(SendsOnce, mode)


one_lost_message_diverges_for_ever = must_break(
    primary_backup.all_copies_agree_in_the_end.over(
        entries_are_sent_once, "one_lost_message_diverges_for_ever"
    )
)
one_lost_message_hangs_the_client = must_break(
    primary_backup.what_is_unconfirmed_is_sent_again.over(
        entries_are_sent_once, "one_lost_message_hangs_the_client", mode="sync"
    )
)

# -- views ----------------------------------------------------------------------------------------


class ObeysDeposedPrimaries(PrimaryBackupServer):
    """There is no epoch in what a backup obeys: a deposed primary still gets confirmed."""

    def is_stale(self, host: Host, primary: str, epoch: int) -> bool:
        return False


class ServesBeforeItsViewIsSettled(PrimaryBackupServer):
    """A new primary answers at once; the service would start the next view without it."""

    def may_serve(self) -> bool:
        return True


class TakesAnySealForEnough(ViewService):
    """One server of the settled view will do, in every mode."""

    def is_enough(self) -> bool:
        return any(server in self.sealed for server in self.settled.members)


class TakesTheFirstToAnswer(ViewService):
    """How new a log is does not matter."""

    def next_primary(self, candidates: list[str]) -> str:
        return candidates[0]


@bounded(within=epochs(2))
def deposed_primaries_are_obeyed() -> World:
    return a_deposed_primary_of_three(ObeysDeposedPrimaries, mode="semi-sync")


@bounded(within=epochs(3))
def views_are_not_settled() -> World:
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", X2))]
    world = servers_and_service(2, *clients, kind=ServesBeforeItsViewIsSettled)
    return succeed(suspect(world), "n2")


@bounded(within=epochs(2))
def any_seal_is_enough() -> World:
    return three_servers(service=TakesAnySealForEnough, mode="semi-sync")


@bounded(within=epochs(2))
def the_first_to_answer_leads() -> World:
    return three_servers(service=TakesTheFirstToAnswer, mode="semi-sync")


a_deposed_primary_still_answers = must_break(
    primary_backup.answered_commands_survive.over(
        deposed_primaries_are_obeyed, "a_deposed_primary_still_answers"
    )
)
a_view_that_nobody_knows_of_answers = must_break(
    primary_backup.answered_commands_survive.over(
        views_are_not_settled, "a_view_that_nobody_knows_of_answers"
    )
)
a_view_of_too_few_forgets_an_answer = must_break(
    primary_backup.answered_commands_survive.over(
        any_seal_is_enough, "a_view_of_too_few_forgets_an_answer"
    )
)
an_old_log_leads = must_break(
    primary_backup.answered_commands_survive.over(the_first_to_answer_leads, "an_old_log_leads")
)
