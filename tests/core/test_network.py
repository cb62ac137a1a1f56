"""Each network as what one node has waiting: an inbox, equal for equal content."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from happysim import duplicating, ordered, unordered

# Three envelopes: 0 and 2 from the process 7, 1 from the process 8. By content: 2, then 0, then 1.
SOURCE = {0: 7, 1: 8, 2: 7}
RANK = [(7, "b"), (8, "a"), (7, "a")]


def filled(network: Any, *envelopes: int) -> Any:
    inbox: Any = ()
    for envelope in envelopes:
        inbox = network.put(inbox, envelope, SOURCE[envelope], RANK)
    return inbox


@pytest.mark.parametrize(
    ("network", "sent", "heads", "waiting"),
    [
        (unordered(), (0, 1, 2), (2, 0, 1), ((2, 1), (0, 1), (1, 1))),
        (unordered(), (0, 1, 0, 0), (0, 1), ((0, 3), (1, 1))),
        (ordered(), (0, 1, 2), (0, 1), ((0, 1), (2, 1), (1, 1))),
        (ordered(), (2, 0, 2), (2,), ((2, 1), (0, 1), (2, 1))),
        (duplicating(), (0, 1, 2, 0), (2, 0, 1), ((2, 1), (0, 1), (1, 1))),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_what_may_come_next_and_what_waits(
    network: Any, sent: tuple[int, ...], heads: Any, waiting: Any
) -> None:
    inbox = filled(network, *sent)
    assert network.heads(inbox) == heads
    assert network.waiting(inbox) == waiting


@pytest.mark.parametrize("network", [unordered(), duplicating()], ids=lambda value: value.kind)
def test_the_order_of_sending_leaves_no_mark_where_there_is_none(network: Any) -> None:
    assert len({filled(network, *order) for order in permutations((0, 1, 2, 0))}) == 1


def test_an_ordered_network_keeps_the_order_of_each_link_and_of_nothing_else() -> None:
    inboxes = {filled(ordered(), *order) for order in permutations((0, 1, 2))}
    # 0 before 2, or 2 before 0; where the 1 of another link came between is forgotten.
    assert len(inboxes) == 2


@pytest.mark.parametrize(
    ("network", "after_delivery", "after_drop", "after_copy"),
    [
        (unordered(), (0, 1), (0, 1), (0, 0, 0, 1)),
        (ordered(), (0, 1), (0, 1), (0, 0, 0, 1)),
        (duplicating(), (0, 1), (1,), (0, 1)),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_delivery_a_drop_and_a_copy(
    network: Any, after_delivery: Any, after_drop: Any, after_copy: Any
) -> None:
    inbox = filled(network, 0, 0, 1)
    assert network.take(inbox, 0, 7) == filled(network, *after_delivery)
    assert network.drop(inbox, 0, 7) == filled(network, *after_drop)
    assert network.copy(inbox, 0, 7, RANK) == filled(network, *after_copy)


@pytest.mark.parametrize("network", [unordered(), ordered()], ids=lambda value: value.kind)
def test_an_inbox_emptied_one_by_one_is_the_empty_inbox(network: Any) -> None:
    inbox = filled(network, 2, 1)
    assert network.take(network.take(inbox, 2, 7), 1, 8) == ()


def test_a_crash_cuts_only_the_links_of_an_ordered_network() -> None:
    inbox = filled(ordered(), 0, 1, 2)
    assert ordered().cut(inbox, None) == ()
    assert ordered().cut(inbox, 7) == filled(ordered(), 1)
    for network in (unordered(), duplicating()):
        inbox = filled(network, 0, 1)
        assert network.cut(inbox, None) == network.cut(inbox, 7) == inbox
