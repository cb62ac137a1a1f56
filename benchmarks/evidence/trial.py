"""Trials: does some property or test notice that a protocol's source was changed?

Every trial is a forked process of its own. A change inside a function is put into the functions
that are there (`swap`), with all checks collected before: cheap. Any other is loaded under the
module's name (`load`), and protocols, properties and tests are imported anew.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import happysim
from benchmarks.evidence.checks import Check, Collected, collected

_LOADED_ANEW = ("happysim.protocols", "properties", "tests.")


def first_notice(collected: Collected, checks: Sequence[Check]) -> str | None:
    """The first check that something is wrong, and what; None where all is well."""
    for check in checks:
        wrong = collected.run(check)
        if wrong is not None:
            return f"{check}: {wrong}"
    return None


# -- loaded anew -----------------------------------------------------------------------------------


def attempt(module: str, source: str, file: str, checks: Sequence[Check], root: Path) -> str | None:
    """What is wrong with a module's changed source, by the first check that notices."""
    try:
        load(module, source, file)
    except Exception as error:
        return f"does not import: {type(error).__name__}: {error}"
    if not checks:
        return None
    paths = list(dict.fromkeys(each.path for each in checks))
    try:
        return collected(paths, root, lambda found: first_notice(found, checks))
    except RuntimeError as error:
        return f"{', '.join(paths)}: {error}"


def load(module: str, source: str, file: str) -> None:
    """Make `module` what this source says, for whoever imports it from now on.

    What has imported it, or may have, is loaded again.
    """
    for name in [each for each in sys.modules if each.startswith(_LOADED_ANEW)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Loader(module, source, file))
    importlib.import_module(module)
    importlib.reload(happysim)


class _Loader(Loader):
    """Finds and loads one module, from a text."""

    def __init__(self, module: str, source: str, file: str) -> None:
        self.module, self.source, self.file = module, source, file

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != self.module:
            return None
        return importlib.util.spec_from_file_location(name, self.file, loader=self)

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.source, self.file, "exec"), vars(module))


# -- put into the functions that are there ---------------------------------------------------------

# Where a function stands in its module: the names around it, each with its number among equals.
_Place = tuple[tuple[str, int], ...]


def functions_of(file: str) -> list[FunctionType]:
    """The functions of a source file that exist now, lambdas and what decorators hold included."""
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, FunctionType) and each.__code__.co_filename == file
    ]


def swap(functions: Sequence[FunctionType], source: str, changed: str, file: str) -> bool:
    """Give the functions of a source file the code that they have in the changed source.

    False where that is not all of the change, or cannot be done; nothing is changed then.
    """
    before, after = _codes(_compiled(source, file)), _codes(_compiled(changed, file))
    places: dict[tuple[str, int], list[_Place]] = {}
    for place, code in before.items():
        places.setdefault((code.co_qualname, code.co_firstlineno), []).append(place)
    new: list[tuple[FunctionType, CodeType]] = []
    for function in functions:
        code = function.__code__
        found = places.get((code.co_qualname, code.co_firstlineno), [])
        if len(found) != 1 or found[0] not in after:
            return False
        if _says(after[found[0]]) != _says(before[found[0]]):
            if after[found[0]].co_freevars != code.co_freevars:
                return False
            new.append((function, after[found[0]]))
    for function, code in new:
        function.__code__ = code
    return bool(new)


def _compiled(source: str, file: str) -> CodeType:
    return compile(source, file, "exec", dont_inherit=True)


def _codes(code: CodeType, place: _Place = ()) -> dict[_Place, CodeType]:
    """Every code within another, at any depth."""
    found: dict[_Place, CodeType] = {}
    names: dict[str, int] = {}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names[inner.co_name] = names.get(inner.co_name, 0) + 1
            here = (*place, (inner.co_name, names[inner.co_name]))
            found |= {here: inner, **_codes(inner, here)}
    return found


def _says(code: CodeType) -> tuple[Any, ...]:
    """What a code does, wherever it stands in its file."""
    consts = tuple(
        _says(each) if isinstance(each, CodeType) else (type(each), each) for each in code.co_consts
    )
    names = code.co_names, code.co_varnames, code.co_freevars
    return code.co_code, code.co_exceptiontable, consts, names
