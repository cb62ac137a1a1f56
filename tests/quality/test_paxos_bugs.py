"""Each wrong Paxos is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import paxos
from tests.quality.bugs import counterexample, listed, scenario_name, steps

# Deliveries and timers of the counterexample, from where its scenario starts. Messages between a
# client and its node count too.
STEPS = {
    paxos.two_values_in_a_ballot: 6,
    paxos.two_values_of_a_ballot_chosen: 7,
    paxos.nothing_is_decided: 9,  # seven steps of nodes; the client asks and is told
    paxos.client_never_answered: 7,
    paxos.one_node_never_decides: 1,
    paxos.attempt_never_repeated: 0,
    paxos.one_answer_counted_twice: 7,
    paxos.promise_forgotten: 1,
    paxos.accepted_value_forgotten: 8,  # two attempts of four steps
    paxos.accepted_value_lost_in_a_crash: 8,
    paxos.decision_forgotten: 9,
    paxos.equal_ballot_promised: 8,
    paxos.promise_broken: 3,
    paxos.lower_ballot_accepted: 8,
    paxos.accepted_value_overwritten: 12,  # three attempts
    paxos.reports_ignored: 8,
    paxos.lower_report_adopted: 11,
    paxos.two_halves_decide: 8,
    paxos.old_configuration_decides: 12,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(paxos) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=scenario_name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
