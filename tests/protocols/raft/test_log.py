"""The log as a value: what it answers does not depend on how much of it was discarded."""

from __future__ import annotations

import pytest

from happysim.protocols.raft import Entry, Log

TERMS = [1, 1, 2, 2, 2, 5]


def log(discarded: int = 0) -> Log:
    made = Log()
    for number, term in enumerate(TERMS):
        made.append(Entry(term, number))
    made.discard(discarded)
    return made


@pytest.mark.parametrize("discarded", range(len(TERMS) + 1))
def test_indices_and_terms_stay_what_they_are(discarded: int) -> None:
    made = log(discarded)
    assert (made.last_index, made.last_term) == (6, 5)
    for index in range(max(discarded, 1), 7):
        assert made.term_at(index) == TERMS[index - 1]
        assert made.behind(index) == tuple(Entry(TERMS[i], i) for i in range(index, 6))


@pytest.mark.parametrize(("discarded", "firsts"), [(0, [1, 1, 3, 3, 3, 6]), (3, [4, 4, 6])])
def test_the_first_of_a_term_is_the_first_that_is_kept(discarded: int, firsts: list[int]) -> None:
    made = log(discarded)
    assert [made.first_of_same_term(index) for index in range(discarded + 1, 7)] == firsts


@pytest.mark.parametrize("discarded", [0, 3, 6])
def test_the_last_of_a_term(discarded: int) -> None:
    made = log(discarded)
    assert made.last_of_term(5) == 6
    assert [made.last_of_term(term) for term in (3, 4, 6)] == [0, 0, 0]
    assert made.last_of_term(2) == (0 if discarded == 6 else 5)


def test_an_entry_agrees_by_its_term_and_one_that_was_discarded_always() -> None:
    made = log(3)
    agreed = [(index, term) for index in range(8) for term in (1, 2, 5) if made.agrees(index, term)]
    assert [at for at in agreed if at[0] > 2] == [(3, 2), (4, 2), (5, 2), (6, 5)]
    assert len(agreed) == 3 * 3 + 4


def test_a_truncated_log_ends_before_the_index_and_gives_back_what_it_lost() -> None:
    made = log(2)
    assert [entry.command for entry in made.truncate(5)] == [4, 5]
    assert (made.last_index, made.last_term) == (4, 2)


def test_a_batch_has_at_most_as_many_entries_as_are_asked_for() -> None:
    assert [entry.command for entry in log(1).behind(2, 3)] == [2, 3, 4]
    assert log().behind(6, 3) == ()


@pytest.mark.parametrize("index", [0, 2, 7])
def test_an_entry_that_is_not_kept_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"no entry at {index}; the log has 3 and on"):
        log(2).entry(index)


@pytest.mark.parametrize("index", range(4))
def test_what_is_discarded_already_stays_so(index: int) -> None:
    made = log(3)
    made.discard(index)
    assert made == log(3)
