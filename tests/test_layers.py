"""The import arrows of docs/design.md: which layer of the package may know which other."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "happysim"

# Layer -> the layers that it may import, itself included. `kernel` is a leaf.
ARROWS = {
    "kernel": {"kernel"},
    "core": {"core", "kernel"},
    "spec": {"spec", "core"},
    "search": {"search", "spec", "core", "kernel"},
    "sim": {"sim", "spec", "core"},
    "trace": {"trace", "search", "sim", "spec", "core"},
    "smt": {"smt", "search", "spec", "core"},
    "protocols": {"protocols", "core"},
    "front": {"front", "trace", "smt", "search", "sim", "spec", "core", "kernel"},
}
# What only `front` may know: the test runner, the command line, the terminal and the browser.
FRONT_ONLY = {"argparse", "click", "hypothesis", "pytest", "rich", "webbrowser"}
# Optional, or slow to load: these may be imported where they are needed, inside a function.
OPTIONAL = {"matplotlib", "z3", f"{PACKAGE}.kernel._native"}


@dataclass(frozen=True)
class Import:
    """One imported module, by absolute name."""

    module: str
    line: int
    in_function: bool
    typing_only: bool


def modules_of(root: Path) -> dict[str, Path]:
    """Every module of the package under `root`, by absolute name."""
    files = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        if "alias" in path.parts:
            continue  # another name of the façade
        parts = path.relative_to(root).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports_of(source: str, name: str, known: Collection[str], is_package: bool) -> list[Import]:
    """The imports of module `name`, at any depth.

    `from a import b` counts as `a.b` where that is one of the `known` modules, else as `a`.
    """
    found: list[Import] = []

    def visit(node: ast.AST, in_function: bool, typing_only: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module in imported_modules(node, name, known, is_package):
                found.append(Import(module, node.lineno, in_function, typing_only))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                visit(child, in_function, True)
            for child in node.orelse:
                visit(child, in_function, typing_only)
        else:
            inside = in_function or isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
            )
            for child in ast.iter_child_nodes(node):
                visit(child, inside, typing_only)

    visit(ast.parse(source), False, False)
    return found


def imported_modules(
    node: ast.Import | ast.ImportFrom, name: str, known: Collection[str], is_package: bool
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        # One dot is the package that holds the module; each further dot is one folder up.
        up = node.level - 1 if is_package else node.level
        parts = name.split(".")
        base = ".".join(parts[: len(parts) - up] + ([node.module] if node.module else []))
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in known or inner in OPTIONAL else base


def layer_of(module: str) -> str:
    """The layer that holds a module of the package; the façade is a layer of its own."""
    if module == PACKAGE:
        return "façade"
    folder = module.split(".")[1]
    return "front" if folder == "__main__" else folder


def broken_rules(name: str, imports: list[Import]) -> list[str]:
    """What the imports of module `name` break: the line, the arrow and the rule, for each."""
    layer = layer_of(name)
    if layer != "façade" and layer not in ARROWS:
        return [f"1: {name} is in no layer; rule: the layers are {', '.join(ARROWS)}"]
    broken = []
    for found in imports:
        inside = found.module.split(".")[0] == PACKAGE
        target = layer_of(found.module) if inside else found.module
        arrow = f"{found.line}: {layer} -> {target} ({found.module})"
        if inside and layer != "façade" and target not in ARROWS[layer]:
            allowed = ", ".join(sorted(ARROWS[layer]))
            broken.append(f"{arrow}; rule: {layer} may import {allowed}")
        if layer != "front" and found.module.split(".")[0] in FRONT_ONLY:
            broken.append(f"{arrow}; rule: only front may import it")
        if found.in_function and not is_optional(found.module):
            broken.append(f"{arrow}; rule: imports stand at the top of the file, not in a function")
    return broken


def is_optional(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in OPTIONAL)


def find_cycle(imports: dict[str, list[Import]]) -> list[str]:
    """Modules that import each other in a ring as they load, or nothing.

    An import for the type checker, or inside a function, does not run as the module loads.
    """
    graph = {
        name: [
            found.module
            for found in sorted(list_, key=lambda found: found.module)
            if found.module in imports and not found.typing_only and not found.in_function
        ]
        for name, list_ in sorted(imports.items())
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib walks from an imported module to its importer.
        return list(reversed(error.args[1]))
    return []


def imports_of_file(name: str, path: Path, known: Collection[str]) -> list[Import]:
    source = path.read_text(encoding="utf-8")
    return imports_of(source, name, known, is_package=path.name == "__init__.py")


MODULES = modules_of(ROOT)


@pytest.mark.parametrize("name", MODULES)
def test_imports_follow_the_arrows(name: str) -> None:
    broken = broken_rules(name, imports_of_file(name, MODULES[name], MODULES))
    file = MODULES[name].relative_to(ROOT).as_posix()
    assert not broken, "\n".join(f"{file}:{line}" for line in broken)


def test_no_modules_import_each_other_in_a_ring() -> None:
    imports = {name: imports_of_file(name, path, MODULES) for name, path in MODULES.items()}
    cycle = find_cycle(imports)
    assert not cycle, f"import cycle: {' -> '.join(cycle)}"


KNOWN = {"happysim", "happysim.core", "happysim.core.world", "happysim.sim", "happysim.sim.clock"}

WORLD = "happysim.core.world"
SIM = "core -> sim (happysim.sim"
CORE_RULE = "rule: core may import core, kernel"
TOP_RULE = "rule: imports stand at the top of the file, not in a function"


@pytest.mark.parametrize(
    ("name", "source", "broken"),
    [
        pytest.param(WORLD, "import json\nfrom happysim.kernel import switch", [], id="allowed"),
        pytest.param(WORLD, "\nimport happysim.sim", [f"2: {SIM}); {CORE_RULE}"], id="import"),
        pytest.param(
            WORLD,
            "from happysim.sim import clock",
            [f"1: {SIM}.clock); {CORE_RULE}"],
            id="from a package import a module",
        ),
        pytest.param(
            WORLD, "from ..sim import Clock", [f"1: {SIM}); {CORE_RULE}"], id="relative in a module"
        ),
        pytest.param(
            "happysim.core",
            "from .. import sim",
            [f"1: {SIM}); {CORE_RULE}"],
            id="relative in a package",
        ),
        pytest.param(
            WORLD,
            "if typing.TYPE_CHECKING:\n    from happysim.sim.clock import Clock",
            [f"2: {SIM}.clock); {CORE_RULE}"],
            id="for the type checker",
        ),
        pytest.param(
            WORLD,
            "class A:\n def f(self):\n  try:\n   import json\n  finally: ...",
            [f"4: core -> json (json); {TOP_RULE}"],
            id="in a function",
        ),
        pytest.param(
            "happysim.smt.encoding",
            "def f():\n    import z3\n    from z3 import Solver\n    import z3.z3util",
            [],
            id="an optional dependency in a function",
        ),
        pytest.param(
            "happysim.kernel.switch",
            "def f():\n    from happysim.kernel import _native",
            [],
            id="the native crate in a function",
        ),
        pytest.param(
            "happysim.spec.property",
            "import os\nfrom rich.table import Table",
            ["2: spec -> rich.table (rich.table); rule: only front may import it"],
            id="a front end below front",
        ),
        pytest.param(
            "happysim.front.cli", "import argparse, rich.table", [], id="front ends in front"
        ),
        pytest.param(
            WORLD,
            "from happysim import Node",
            [f"1: core -> façade (happysim); {CORE_RULE}"],
            id="a layer that imports the façade",
        ),
        pytest.param("happysim", "from happysim.sim import clock", [], id="the façade imports all"),
        pytest.param(
            "happysim.helpers.text",
            "",
            [f"1: happysim.helpers.text is in no layer; rule: the layers are {', '.join(ARROWS)}"],
            id="a folder that is no layer",
        ),
    ],
)
def test_each_rule_catches_its_breach(name: str, source: str, broken: list[str]) -> None:
    is_package = name in ("happysim", "happysim.core")
    assert broken_rules(name, imports_of(source, name, KNOWN, is_package)) == broken


@pytest.mark.parametrize(
    ("b_source", "cycle"),
    [
        pytest.param("import a", ["a", "b", "a"], id="a ring"),
        pytest.param("import json", [], id="a line"),
        pytest.param("if TYPE_CHECKING:\n    import a", [], id="a ring for the type checker alone"),
    ],
)
def test_a_ring_of_imports_is_found(b_source: str, cycle: list[str]) -> None:
    imports = {
        name: imports_of(source, name, {"a", "b"}, is_package=False)
        for name, source in {"a": "import b", "b": b_source}.items()
    }
    found = find_cycle(imports)
    assert set(found) == set(cycle)
    assert len(found) == len(cycle)
