"""Messages and local states as text: what a trace shows, and what tells two worlds apart."""

from __future__ import annotations

from typing import Any

from happysim.core.describe import describe
from happysim.core.disk import Image, Mark
from happysim.core.entries import DAMAGE, DISK, STATUS, SYNCED
from happysim.core.freeze import Frozen
from happysim.core.local_step import NodeState, is_response, response_parts
from happysim.core.process import NodeProcess, Process
from happysim.core.script import Operation


def message_text(message: Frozen, operation: Operation | None) -> str:
    """A message on its way as a trace shows it."""
    if is_response(message):
        number, value = response_parts(message)
        return f"answer {describe(value)} to call {number}"
    call = "" if operation is None else f" as call {operation.number}"
    return describe(message) + call


def state_texts(process: Process, value: Any) -> tuple[tuple[str, str], ...]:
    """A local state as (field, text) pairs, in order of declaration."""
    if not isinstance(value, NodeState):
        answers = [("answers", describe((list, *value.answers)))]
        return (*answers, ("waiting", str(value.waiting)))
    assert isinstance(process, NodeProcess)
    process = process.at(value)
    fields = zip(process.kind.happysim_fields, value.fields, strict=True)
    texts = [(name, describe(frozen)) for name, frozen in fields]
    texts.append(("timers", describe((list, *value.timers))))
    if process.faults.damages:
        texts.append((DAMAGE, _marks_text(value.marks)))
    if process.faults.images_kept:
        texts.append((SYNCED, _images_text(value.synced)))
    if process.faults.fills:
        texts.append((DISK, "full" if value.full else "has room"))
    if value.unsynced:
        texts.append(("unsynced", _images_text(value.unsynced)))
    return ((STATUS, value.status), *texts)


def _marks_text(marks: tuple[Mark, ...]) -> str:
    return ", ".join(f"{mark.address} {mark.what}" for mark in marks) or "none"


def _images_text(images: tuple[Image, ...]) -> str:
    """Images of a disk as text: the values of each, and what is damaged of them."""
    told = [
        describe((tuple, *image.values))
        + (f" with {_marks_text(image.marks)}" if image.marks else "")
        for image in images
    ]
    return f"[{', '.join(told)}]"
