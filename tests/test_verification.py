"""docs/verification.md names every scenario of properties/, and says what a search of it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import verification
from benchmarks.evidence.page import put, table
from happysim import (
    Faults,
    Property,
    World,
    always,
    bounded,
    duplicating,
    explore,
    must_break,
    reachable,
    swarm,
    uniform,
    unlimited,
)
from tests.support.nodes import Counter

COMMAND = "python benchmarks/verification.py"


@pytest.mark.parametrize("path", verification.files(), ids=Path.as_posix)
def test_the_page_names_every_scenario(path: Path) -> None:
    part = verification.sections(verification.PAGE).get(path.as_posix(), "")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in part.splitlines()[4:]]
    wanted = [f"`{verification.title(each)}`" for each, _ in verification.scenarios(path)]
    assert rows == wanted, f"write the table anew: {COMMAND} {path.as_posix()}"


def test_the_page_names_no_file_that_is_gone() -> None:
    there = {path.as_posix() for path in verification.files() if verification.scenarios(path)}
    assert set(verification.sections(verification.PAGE)) == there


@pytest.mark.parametrize("path", ["properties/lock.py", "properties/broken/lock.py"])
def test_a_search_says_what_the_page_says(path: str) -> None:
    part = verification.sections(verification.PAGE)[path]
    made = verification.section(Path(path))
    assert verification.without_seconds(made) == verification.without_seconds(part)


def least(number: int) -> World:
    faults = Faults(crashes=number, drops=unlimited, unsynced_loss=True)
    return World.of(Counter("n", limit=3), faults=faults, network=duplicating())


@bounded(within=lambda world: world["n"].count <= 2, max_depth=9)
def cut_off(kind: type = Counter) -> World:
    return World.of(kind("n", limit=3))


@bounded(by=uniform(seed=1, runs=2, steps=5), unknown_passes=True)
def drawn() -> World:
    return World.of(Counter("n", limit=3))


# A wrong variant is often bounded as the right one is, without saying it anew.
as_another_is = bounded(by=swarm(seed=3, runs=2, until=5, calm=7, arguments={"limit": (1, 3)}))


@as_another_is
def over_time(limit: int = 3) -> World:
    return World.of(Counter("n", limit=limit))


small = always(least, number=1)(lambda world: world["n"].count <= 3)
smaller = must_break(always(least, number=1)(lambda world: world["n"].count <= 1))
wrong = always(least, number=1)(lambda world: world["n"].count <= 2)
there = reachable(least, number=1)(lambda world: world["n"].count == 3)
within = always(cut_off, kind=Counter)(lambda world: world["n"].count <= 2)
not_there = reachable(cut_off, kind=Counter)(lambda world: world["n"].count == 3)
sampled = always(drawn)(lambda world: world["n"].count <= 3)
in_time = always(over_time)(lambda world: world["n"].count <= 3)


@pytest.mark.parametrize(
    ("prop", "said"),
    [
        (small, "1 hold exhaustively"),
        (smaller, "1 must break and do, in 2 choices"),
        (wrong, "1 **broken**"),
        (there, "1 reached"),
        (within, "1 hold within bounds"),
        (not_there, "1 **unknown**"),
        (sampled, "1 unknown, a sample broke none"),
    ],
)
def test_a_row_says_how_its_properties_fared(prop: Property, said: str) -> None:
    assert verification.verdicts([prop], explore(prop.scenario, prop)) == said


def test_a_row_says_what_the_search_was_of() -> None:
    assert verification.row(small.scenario, [small, there])[:3] == (
        "`least(number=1)`",
        "unlimited drops, crashes 1, restarts 1, what is not synced may be lost, duplicating",
        "",
    )
    assert verification.row(within.scenario, [within])[:3] == (
        "`cut_off(kind=Counter)`",
        "",
        "`within=lambda world: world['n'].count <= 2, max_depth=9`",
    )
    assert verification.bounds(sampled.scenario) == "`by=uniform(seed=1, runs=2, steps=5)`"
    assert verification.bounds(in_time.scenario) == (
        "`by=swarm(seed=3, runs=2, until=5, calm=7), drawn: limit`"
    )


def test_a_part_of_a_page_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\n<!-- begin a -->\nold\n<!-- end a -->\ntwo\n")
    put(page, "a", table(("x", "y"), [("1|2", "3")], numbers=(1,)))
    put(page, "a", table(("x", "y"), [("1|2", "4")], numbers=(1,)))
    rows = "| x | y |\n| --- | ---: |\n| 1\\|2 | 4 |"
    assert page.read_text() == f"one\n<!-- begin a -->\n\n{rows}\n\n<!-- end a -->\ntwo\n"
    with pytest.raises(ValueError, match=r"no part 'b'; write `<!-- begin b -->`"):
        put(page, "b", "")
