"""The README shows what the program shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from happysim.front.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_the_picture_in_the_readme_is_what_show_draws(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (trace,) = (ROOT / "traces" / "raft").glob("same_term_double_vote--*.trace")

    assert main(["show", str(trace.relative_to(ROOT))]) == 0
    assert capsys.readouterr().out.strip() in (ROOT / "README.md").read_text()
