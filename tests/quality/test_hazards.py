"""Every hazard of the catalogue is held off by the library, caught in a variant, and on record."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from happysim import Hazard, Property, PropertyError
from happysim.front.collect import Target, gather
from happysim.front.hazards import hazards_in, show_hazards
from properties.broken import hazards

ROOT = Path(__file__).resolve().parents[2]


def properties() -> list[Property]:
    return [prop for _, prop in gather([Target(ROOT / "properties", None)], ROOT)]


def test_the_catalogue_is_complete_and_every_trace_replays_as_recorded() -> None:
    listed = hazards_in([hazards])
    assert [each.number for each in listed] == list(range(1, 46))
    out = io.StringIO()
    console = Console(file=out, width=240)
    assert show_hazards(console, listed, properties(), ROOT), out.getvalue()
    # For each there is a property of the correct protocol that judges alike.
    assert " - " not in out.getvalue()


def test_a_hazard_without_a_saved_trace_is_told_as_missing(tmp_path: Path) -> None:
    out = io.StringIO()
    assert not show_hazards(Console(file=out, width=240), hazards.HAZARDS[:1], [], tmp_path)
    assert "missing" in out.getvalue()


@pytest.mark.parametrize("caught_by", [(), (hazards.raft.election_safety,)])
def test_a_hazard_names_properties_that_must_break(caught_by: tuple[Property, ...]) -> None:
    with pytest.raises(PropertyError, match="hazard 7"):
        Hazard(7, "Raft", "a mistake", *caught_by)
