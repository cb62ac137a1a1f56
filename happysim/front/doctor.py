"""happysim doctor: what is installed here, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from happysim.kernel.memory import available_mib, machine_mib
from happysim.kernel.switch import VARIABLE, kernel, native

# Package -> what it is for. The first ones are always installed with happysim.
_NEEDED = {
    "z3-solver": "proofs: by=smt()",
    "hypothesis": "strategies of schedules",
    "pytest": "properties as tests",
    "rich": "the command line",
}
_OPTIONAL = {"matplotlib": "plots"}
_RUST = "install Rust (https://rustup.rs), then `pip install --force-reinstall happysim`"


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at. `advice` says what to do about it; empty: it is well."""

    what: str
    found: str
    advice: str = ""
    # What happysim can do without.
    optional: bool = False


def examine() -> list[Fact]:
    """Everything that matters to how happysim runs here, in order of importance."""
    return [
        Fact("happysim", _version("happysim") or "not installed: run from its folder"),
        Fact("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _kernel(),
        _processors(),
        _memory(),
        *(_package(name, why, False) for name, why in _NEEDED.items()),
        *(_package(name, why, True) for name, why in _OPTIONAL.items()),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _kernel() -> Fact:
    built, why_not = native()
    wanted = os.environ.get(VARIABLE, "")
    try:
        used = kernel().name
    except ImportError as error:
        return Fact("kernel", str(error), f"unset {VARIABLE}, or set it to reference or native")
    if built is not None:
        chosen = f", because {VARIABLE}={wanted}" if wanted else ""
        return Fact("kernel", f"{used}{chosen}; native is built, contract {built.CONTRACT}")
    cargo = "" if shutil.which("cargo") else " (cargo is not on the PATH)"
    return Fact("kernel", f"{used}; {why_not}{cargo}", f"searches are some 5 times slower; {_RUST}")


def _processors() -> Fact:
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    found = f"{usable} of {there}" if usable != there else str(there)
    return Fact("processors", found)


def _memory() -> Fact:
    there, free = machine_mib(), available_mib()
    found = "the system does not tell" if there == float("inf") else f"{there:,.0f} MiB"
    if free is not None:
        found += f", {free:,.0f} MiB available"
    advice = ""
    if free is not None and free < 1024:
        advice = 'large searches want more; bfs(memory="fingerprint") wants less'
    return Fact("memory", found, advice, optional=True)


def _package(name: str, why: str, optional: bool) -> Fact:
    found = _version(name)
    command = f"{sys.executable} -m pip install {name}"
    if found:
        return Fact(name, f"{found} ({why})")
    return Fact(name, f"not installed ({why})", command, optional)


def report() -> tuple[str, bool]:
    """What was found as text, and whether nothing needed is missing."""
    facts = examine()
    width = max(len(fact.what) for fact in facts)
    lines = []
    for fact in facts:
        lines.append(f"{fact.what:<{width}}  {fact.found}")
        if fact.advice:
            word = "optional" if fact.optional else "to do"
            lines.append(f"{'':<{width}}  {word}: {fact.advice}")
    return "\n".join(lines), not any(fact.advice and not fact.optional for fact in facts)
