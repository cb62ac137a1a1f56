"""Finding properties: import a file, and name what it defines."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from happysim.core.errors import HappysimError
from happysim.spec.property import Property


class CollectError(HappysimError):
    """A file of properties that is not there, cannot be imported, or has no such property."""


@dataclass(frozen=True)
class Target:
    """What a person asked to check: a file, and perhaps one property of it."""

    path: Path
    name: str | None = None


def target(text: str) -> Target:
    """`FILE`, `FOLDER` or `FILE::PROPERTY` from the command line. Raises `CollectError`."""
    path_text, separator, name = text.partition("::")
    path = Path(path_text)
    if not path.exists():
        raise CollectError(f"{path_text}: there is no such file or folder")
    if separator and (path.is_dir() or not name):
        raise CollectError(f"{text}: name one property of one file: FILE::PROPERTY")
    return Target(path, name or None)


def files_of(path: Path) -> list[Path]:
    """The Python files at or below a path, sorted; not those that begin with an underscore."""
    if path.is_file():
        return [path]
    found = [each for each in path.rglob("*.py") if not each.name.startswith("_")]
    return sorted(each for each in found if "__pycache__" not in each.parts)


def import_file(path: Path, root: Path) -> ModuleType:
    """Import a file, as `properties.lock` where it lies below `root`. Raises `CollectError`."""
    path, root = path.resolve(), root.resolve()
    if path.suffix != ".py":
        raise CollectError(f"{path}: properties are written in a Python file (.py)")
    try:
        parts = path.relative_to(root).with_suffix("").parts
    except ValueError:
        parts = ()
    try:
        if parts and all(part.isidentifier() for part in parts):
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            module = importlib.import_module(".".join(parts))
            if Path(module.__file__ or "").resolve() == path:
                return module
        return _import_alone(path)
    except HappysimError as error:
        raise CollectError(f"{path.name}: {error}") from error
    except Exception as error:
        raise CollectError(
            f"{path}: cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _import_alone(path: Path) -> ModuleType:
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and Path(known.__file__ or "").resolve() == path:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CollectError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def properties_in(module: ModuleType) -> Iterator[Property]:
    """The properties that a module defines, in order, each named as it is there."""
    seen: set[int] = set()
    for name, value in vars(module).items():
        if not isinstance(value, Property) or id(value) in seen or name.startswith("_"):
            continue
        # One that was imported from another module is that module's.
        if module.__name__ not in (value.scenario.function.__module__, value.module):
            continue
        seen.add(id(value))
        value.name = name
        yield value


def gather(targets: list[Target], root: Path) -> list[tuple[Path, Property]]:
    """Every property asked for, with its file. Raises `CollectError` where there is none."""
    found: list[tuple[Path, Property]] = []
    for each in targets:
        before = len(found)
        for path in files_of(each.path):
            for prop in properties_in(import_file(path, root)):
                if each.name in (None, prop.name):
                    found.append((path, prop))
        if len(found) == before:
            wanted = f"property {each.name!r}" if each.name else "properties"
            raise CollectError(f"{each.path}: no {wanted} there; state one with @always(scenario)")
    return found
