"""What a patient server keeps of its clients' requests, and for how long."""

from __future__ import annotations

from happysim.core.script import Operation
from happysim.protocols.requests import ClientRequest, Forwarded, keep, still_open


def asked(operation: Operation | None, command: str = "x") -> Forwarded:
    return Forwarded(operation, ClientRequest(command))


def test_what_awaits_an_answer_is_kept_once_whoever_leads() -> None:
    kept: list[Forwarded] = []
    for leader in (None, "n1", None):
        keep(kept, asked(Operation("c1", 1)), leader)
    assert kept == [asked(Operation("c1", 1))]


def test_what_awaits_no_answer_is_kept_while_nobody_leads() -> None:
    kept: list[Forwarded] = []
    keep(kept, asked(None), "n1")
    assert kept == []
    keep(kept, asked(None), None)
    assert kept == [asked(None)]


def test_an_operation_that_is_applied_settles_those_of_its_client_up_to_it() -> None:
    others = [asked(Operation("c1", 3)), asked(Operation("c2", 1)), asked(None)]
    settled = [asked(Operation("c1", 1)), asked(Operation("c1", 2))]
    assert still_open([*settled, *others], Operation("c1", 2)) == others
