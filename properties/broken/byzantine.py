"""Protocols that believe too much. Each is caught by a node that lies in one way."""

from __future__ import annotations

from happysim import Host, World, must_break, on
from properties import byzantine
from properties.byzantine import Account, Deposit, Echo, Init, Member, group


class BelievesTheSource(Member):
    """Delivers what the source has said, without asking the others."""

    @on(Init)
    def told(self, host: Host, sender: str, init: Init) -> None:
        if self.delivered is None:
            self.delivered = init.value


class TrustsNames(Member):
    """Does not look who has signed."""

    def is_genuine(self, sender: str, echo: Echo) -> bool:
        return True


class WaitsForAll(Member):
    """Delivers once all four have echoed."""

    quorum: int = 4


class CountsEveryDeposit(Account):
    @on(Deposit)
    def deposit(self, host: Host, sender: str, deposit: Deposit) -> None:
        self.balance += deposit.amount


def the_source_is_believed() -> World:
    return group(BelievesTheSource, equivocates=1)


def names_are_trusted() -> World:
    return group(TrustsNames, forges=1, equivocates=2)


def all_are_waited_for() -> World:
    return group(WaitsForAll, silent=1)


def every_deposit_counts() -> World:
    return byzantine.the_payer_repeats_itself(CountsEveryDeposit)


two_values_are_delivered_as_the_source_said = must_break(
    byzantine.no_two_members_deliver_different_values.over(
        the_source_is_believed, "two_values_are_delivered_as_the_source_said"
    )
)
two_values_are_delivered_by_forged_echoes = must_break(
    byzantine.no_two_members_deliver_different_values.over(
        names_are_trusted, "two_values_are_delivered_by_forged_echoes"
    )
)
one_silence_stops_all = must_break(
    byzantine.whoever_was_told_delivers.over(all_are_waited_for, "one_silence_stops_all")
)
a_deposit_counts_twice = must_break(
    byzantine.no_deposit_counts_twice.over(every_deposit_counts, "a_deposit_counts_twice")
)
