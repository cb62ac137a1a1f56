"""The collector of cycles looks less often for a while, and then as often as before."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from happysim.core.collector import rare_collection


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("before", "during"),
    [((700, 10, 10), (5_000, 10, 10)), ((9_000, 5, 5), (9_000, 5, 5)), ((0, 10, 10), (0, 10, 10))],
)
def test_it_looks_no_more_often_than_before_and_off_stays_off(
    before: tuple[int, int, int], during: tuple[int, int, int]
) -> None:
    gc.set_threshold(*before)
    with rare_collection(5_000):
        assert gc.get_threshold() == during
    assert gc.get_threshold() == before
