"""doctor says which kernel runs, what is missing, and how to get it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from happysim.front import doctor
from happysim.front.cli import main
from happysim.kernel import switch


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    told = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    return {what.strip(): found.strip() for what, found in told if what.strip()}


def test_where_all_is_well_it_names_what_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    built = find_spec("happysim.kernel._native") is not None
    assert main(["doctor"]) == (0 if built else 2)
    told = lines(capsys)
    assert {"happysim", "Python", "kernel", "processors", "memory", "z3-solver"} <= set(told)
    assert built == told["kernel"].startswith("native")


def test_a_kernel_that_was_asked_for_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(switch.VARIABLE, "reference")
    main(["doctor"])
    assert lines(capsys)["kernel"].startswith("reference, because HAPPYSIM_KERNEL=reference")
    monkeypatch.setenv(switch.VARIABLE, "fast")
    assert main(["doctor"]) == 2
    assert "fast is no kernel" in lines(capsys)["kernel"]


def test_what_is_missing_comes_with_the_way_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(switch.VARIABLE, raising=False)
    monkeypatch.setattr(doctor, "native", lambda: (None, "the native kernel is not built"))
    monkeypatch.setattr(doctor, "_version", lambda package: "" if package == "rich" else "1.0")
    assert main(["doctor"]) == 2
    told = capsys.readouterr().out
    assert "the native kernel is not built" in told
    assert "to do: searches are some 5 times slower; install Rust" in told
    assert "-m pip install rich" in told
    assert "-m pip install z3-solver" not in told
