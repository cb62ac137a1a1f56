"""How an error is told: what it says, and the lines of the person's own code behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from happysim import check, shrink
from happysim.core.errors import HappysimError
from happysim.front.telling import shown, tell
from tests.support.project import Project

STATED = """
import json

def helper(world):
    return inner(world)

def inner(world):
    {0}

@always(counting)
def p(world):
    return helper(world)

@always(lambda: helper(None))
def q(world):
    return True
"""


def told(project: Project, name: str, body: str) -> str:
    """What is told of an error while a property is checked."""
    project.count("p.py", STATED.format(body))
    with project.imported("p.py") as module, pytest.raises(Exception) as raised:  # noqa: PT011
        check(getattr(module, name))
    return tell(raised.value)


def test_of_an_error_of_ours_the_innermost_own_line_is_told(project: Project) -> None:
    assert told(project, "p", "return {}[7]") == (
        "property p raised KeyError: 7; a property returns True, False or a text that says what "
        "is wrong\n  at p.py:19, in inner\n      return {}[7]"
    )


@pytest.mark.parametrize("body", ["return {}[7]", "return json.loads('{')"])
def test_of_any_other_error_each_own_line_is_told_and_no_library_s(
    project: Project, body: str
) -> None:
    error, *lines = told(project, "q", body).splitlines()
    assert error.startswith(("KeyError: 7", "JSONDecodeError: Expecting property name"))
    assert lines == [
        "  at p.py:25, in <lambda>",
        "      @always(lambda: helper(None))",
        "  at p.py:16, in helper",
        "      return inner(world)",
        "  at p.py:19, in inner",
        f"      {body}",
    ]


def test_notes_are_told_and_what_has_no_line_has_none() -> None:
    error = HappysimError("this is wrong")
    error.add_note("at choice 3 of 7")
    assert tell(error) == "this is wrong\n  at choice 3 of 7"


def test_what_is_no_mistake_of_the_person_is_told_with_its_traceback() -> None:
    with pytest.raises(AttributeError) as raised:
        shrink(None)  # type: ignore[arg-type]
    assert tell(raised.value).startswith("Traceback (most recent call last):\n")


def test_a_path_is_shown_as_short_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.py") == "a/b.py"
    assert shown(tmp_path.parent / "b.py") == str(tmp_path.parent / "b.py")
    assert shown(Path("a/b.py")) == "a/b.py"
