"""A pool keeps what one process has sent another until it is told what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Link, constant
from happysim.sim.agenda import Agenda
from happysim.sim.pool import Pool
from happysim.sim.route import Route
from tests.sim.models import Tick


class Receiver:
    """Notes what it is handed."""

    name = "b"

    def __init__(self) -> None:
        self.taken: list[int] = []

    @staticmethod
    def receive(route: Any, message: Tick, operation: Any, epoch: int) -> None:
        route.target.taken.append(message.number)


def pool(*numbers: int, ordered: bool = False) -> Any:
    """What was sent through it is on its way."""
    target: Any = Receiver()
    link = Link(constant(1.0))
    made = Pool(Agenda(), "a", target, None, link, lambda: 0.0, ordered=ordered)
    send(made, *numbers)
    return made


def send(through: Pool, *numbers: int) -> None:
    for number in numbers:
        through.send(Tick(number), None, 0)


def there(found: Pool) -> list[int]:
    return [each.message.number for each in found.letters]


def coming(found: Pool) -> list[int]:
    return [each.message.number for each in found.coming()]


def test_no_sender_has_a_short_cut_past_a_pool() -> None:
    surroundings: Any = (Agenda(), "a", Receiver(), None, Link(constant(1.0)), lambda: 0.0)
    assert Route(*surroundings, ordered=False).ease is not None
    assert Pool(*surroundings, ordered=False).ease is None


@pytest.mark.parametrize(("ordered", "first"), [(False, [1, 2, 1]), (True, [1])])
def test_what_may_arrive_next_is_anything_or_the_first(ordered: bool, first: list[int]) -> None:
    assert coming(pool(1, 2, 1, ordered=ordered)) == first


def test_of_equal_messages_the_oldest_is_found_and_what_arrives_is_gone() -> None:
    found = pool(1, 2, 1)
    letter = found.find("Tick(number=1)")
    assert letter is found.letters[0]
    found.hand_over(letter)
    assert (found.target.taken, there(found)) == ([1], [2, 1])
    assert found.find("Tick(number=3)") is None


@pytest.mark.parametrize(("ordered", "after"), [(False, [1, 2, 1]), (True, [1, 1, 2])])
def test_a_copy_comes_at_once_on_a_link_that_keeps_its_order(
    ordered: bool, after: list[int]
) -> None:
    found = pool(1, 2, ordered=ordered)
    found.copy(found.letters[0])
    assert (there(found), found.traffic.duplicated) == (after, 1)
    assert len({each.ticket for each in found.letters}) == 3


def test_where_the_network_copies_a_message_is_there_once_and_for_ever() -> None:
    found = pool()
    found.copies = True
    send(found, 1, 1)
    for _ in range(2):
        found.hand_over(found.letters[0])
    assert (found.target.taken, there(found)) == ([1, 1], [1])


def test_what_a_clog_holds_back_may_arrive_when_the_last_one_is_gone() -> None:
    found = pool(1)
    found.clog()
    found.clog()
    send(found, 2)
    found.release()
    send(found, 3)
    assert coming(found) == [1]
    found.release()
    assert coming(found) == [1, 2, 3]


def test_a_cut_loses_what_is_on_its_way_and_what_is_sent_meanwhile() -> None:
    found = pool(1)
    found.cut()
    send(found, 2)
    found.mend()
    send(found, 3)
    assert (there(found), found.traffic.severed) == ([3], 2)


def test_where_links_keep_their_order_what_was_cut_off_is_in_the_way_until_it_is_dropped() -> None:
    found = pool(1, ordered=True)
    found.cut()
    send(found, 2)
    found.mend()
    send(found, 3)
    assert (there(found), coming(found)) == ([1, 2, 3], [])
    found.drop(found.letters[0])
    found.drop(found.letters[0])
    assert coming(found) == [3]


@pytest.mark.parametrize("ordered", [False, True])
def test_a_crash_of_either_end_leaves_nothing_on_its_way(ordered: bool) -> None:
    found = pool(1, 2, ordered=ordered)
    found.reset()
    assert (there(found), found.traffic.severed) == ([], 2)
