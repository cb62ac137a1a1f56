"""Which files hold properties, what importing one does to the others, and what is found in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from happysim.front.collect import (
    CollectError,
    Target,
    files_of,
    gather,
    import_file,
    properties_in,
    target,
)
from tests.support.project import Project, fresh_imports

STATED = "\n@always(counting)\ndef small(world):\n    return world['a'].n < 4\n"


def names(project: Project, *targets: str) -> list[tuple[str, str]]:
    """The properties asked for, each with its file."""
    with fresh_imports(project.root):
        found = gather([target(text) for text in targets], project.root)
    return [(str(path), prop.name) for path, prop in found]


# -- which files ---------------------------------------------------------------------------------

FILES = {
    "setup.py": "raise SystemExit('run')",
    "properties/lock.py": "",
    "properties/broken/lock.py": "",
    "properties/_helpers.py": "",
    "properties/test_lock.py": "",
    "properties/lock_test.py": "",
    "properties/conftest.py": "",
    "properties/__pycache__/lock.py": "",
    "properties/notes.txt": "",
    "models/queue.py": "from happysim import World",
    "models/plain.py": "import json",
    ".venv/properties/lock.py": "",
    "venv/pyvenv.cfg": "",
    "venv/lib/properties/lock.py": "",
}


@pytest.mark.parametrize(
    ("asked", "files"),
    [
        (".", ["properties/broken/lock.py", "properties/lock.py"]),
        ("properties", ["properties/broken/lock.py", "properties/lock.py"]),
        ("properties/broken", ["properties/broken/lock.py"]),
        ("models", ["models/queue.py"]),  # no folder `properties` there: those that mention us
        ("models/plain.py", ["models/plain.py"]),
        ("properties/test_lock.py", ["properties/test_lock.py"]),  # asked for by name
    ],
)
def test_a_folder_stands_for_its_files_of_properties(
    project: Project, asked: str, files: list[str]
) -> None:
    for name, text in FILES.items():
        project.write(name, text)
    assert [str(path) for path in files_of(Path(asked))] == files


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a.py", Target(Path("a.py"))), ("a.py::p", Target(Path("a.py"), "p")), (".", Target(Path()))],
)
def test_a_target_is_a_file_a_folder_or_one_property(
    project: Project, text: str, wanted: Target
) -> None:
    project.write("a.py", "")
    assert target(text) == wanted


# -- importing -----------------------------------------------------------------------------------


def test_a_file_below_the_root_is_imported_once_under_its_full_name(project: Project) -> None:
    path = project.write("properties/broken/lock.py", "import properties.lock as other")
    project.write("properties/lock.py", "")
    with project.imported("properties/broken/lock.py") as module:
        assert module.__name__ == "properties.broken.lock"
        assert import_file(path, project.root) is module
        assert module.other.__name__ == "properties.lock"


def test_a_file_elsewhere_is_imported_under_its_own_name(project: Project) -> None:
    path = project.write("else-where/small.py", "")
    with project.imported("else-where/small.py") as module:
        assert module.__name__ == "small"
        assert import_file(path, project.root) is module


@pytest.mark.parametrize("name", ["queue", "this", "same"])
def test_a_file_elsewhere_never_takes_the_name_of_another_module(
    project: Project, name: str
) -> None:
    project.write("one-folder/same.py", "")
    path = project.write(f"else-where/{name}.py", "raise SystemExit('run')")
    with project.imported("one-folder/same.py"):
        before = sys.modules.get(name)
        with pytest.raises(CollectError, match=f"the name {name} is taken by"):
            import_file(path, project.root)
        assert sys.modules.get(name) is before


@pytest.mark.parametrize("folder", ["", "else-where/"])
def test_a_file_that_failed_is_not_taken_for_a_whole_one_the_next_time(
    project: Project, folder: str
) -> None:
    path = project.write(f"{folder}half.py", "x = 1\nx / 0\n")
    with fresh_imports(project.root):
        for _ in range(2):
            with pytest.raises(CollectError, match=r"cannot be imported: ZeroDivisionError"):
                import_file(path, project.root)


# -- what is in a module -------------------------------------------------------------------------


def test_properties_come_in_order_each_once_and_named_as_they_are_assigned(
    project: Project,
) -> None:
    made = "zulu = small.over(counting)\nagain = zulu\n_hidden = small.over(counting)\n"
    project.count("p.py", f"{STATED}{made}alpha = reachable(counting)(bool)\n")
    assert names(project, "p.py") == [("p.py", "small"), ("p.py", "zulu"), ("p.py", "alpha")]


def test_one_made_from_another_module_s_counts_and_one_imported_from_it_does_not(
    project: Project,
) -> None:
    project.count("properties/base.py", STATED)
    project.write(
        "properties/more.py",
        "from happysim import must_break\n"
        "from properties.base import counting, small\n"
        "again = small.over(counting, name='b')\n"
        "wrong = must_break(small.over(counting))\n",
    )
    more = "properties/more.py"
    assert names(project, more) == [(more, "again"), (more, "wrong")]
    assert names(project, "properties") == [
        ("properties/base.py", "small"),
        (more, "again"),
        (more, "wrong"),
    ]


def test_one_from_a_helper_without_a_name_there_is_at_home_where_it_is_assigned(
    project: Project,
) -> None:
    stated = "\ndef small(limit):\n    return always(counting)(lambda w: w['a'].n < limit)\n"
    project.count("properties/_helper.py", stated)
    project.write("properties/p.py", "from properties._helper import small\nfour = small(4)\n")
    assert names(project, "properties") == [("properties/p.py", "four")]


def test_a_helper_without_properties_may_lie_among_the_others(project: Project) -> None:
    project.count("properties/helper.py")
    project.count("properties/p.py", STATED)
    assert names(project, "properties") == [("properties/p.py", "small")]


def test_a_decorator_without_a_scenario_is_an_error_and_one_kept_for_later_is_not(
    project: Project,
) -> None:
    project.count("kept.py", f"\nstated = always(counting)\n{STATED}")
    assert names(project, "kept.py") == [("kept.py", "small")]
    for decorator in ("always", "reachable", "quiescent"):
        project.count("bare.py", f"{STATED}\n@{decorator}\ndef tiny(world):\n    return True\n")
        with project.imported("bare.py") as module:  # noqa: SIM117
            with pytest.raises(CollectError, match=r"bare\.tiny: .* write @always\(scenario\)"):
                list(properties_in(module))
