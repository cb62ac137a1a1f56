"""An empty project, and that of the tutorial, each in a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.project import LOCK, Project


@pytest.fixture(autouse=True)
def _other_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this repository's own `properties`; every project has a package of that name."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "properties":
            monkeypatch.delitem(sys.modules, name)
    # Files are changed within one second; a stale .pyc would hide that.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """An empty project, with `happysim` to be run in it at a width of 100 characters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path, capsys)


@pytest.fixture
def lock(project: Project) -> Project:
    """The project of the tutorial: `properties/lock.py`."""
    project.write("properties/lock.py", LOCK)
    return project
