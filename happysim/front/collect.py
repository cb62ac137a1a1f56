"""Finding properties: which files hold them; import a file, and name what it defines."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

from happysim.core.errors import HappysimError
from happysim.front.telling import shown
from happysim.spec.property import Property, always
from happysim.spec.scenario import Scenario

FOLDER = "properties"


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
        before = path_text.partition(":")[0]
        hint = "; write FILE::PROPERTY for one property" if Path(before).is_file() else ""
        if path_text == FOLDER:
            hint = f"; name a file of properties, or keep them in a folder `{FOLDER}`"
        raise CollectError(f"{path_text}: there is no such file or folder{hint}")
    if separator and (path.is_dir() or not name):
        raise CollectError(f"{text}: name one property of one file: FILE::PROPERTY")
    return Target(path, name or None)


# -- which files ---------------------------------------------------------------------------------


def has_name_for_properties(path: Path) -> bool:
    """True for a Python file that is no test and not private."""
    private = path.name.startswith(("_", "test_", "conftest")) or path.stem.endswith("_test")
    return path.suffix == ".py" and not private


def mentions_us(path: Path) -> bool:
    """True for a file that can be read, with our name somewhere in it."""
    try:
        return b"happysim" in path.read_bytes()
    except OSError:
        return False


def python_files(folder: Path) -> list[Path]:
    """The files that may hold properties at any depth, sorted; not what is hidden or installed."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [
            each
            for each in folders
            if not each.startswith((".", "__")) and not Path(here, each, "pyvenv.cfg").exists()
        ]
        found += [Path(here, name) for name in names]
    return sorted(path for path in found if has_name_for_properties(path))


def files_of(path: Path) -> list[Path]:
    """The files to look for properties in, at or below a path, sorted.

    Of a folder these are the Python files below folders named `properties`; where there is none,
    those that mention happysim. Tests and names that begin with an underscore are left out.
    """
    if path.is_file():
        return [path]
    found = python_files(path)
    placed = [each for each in found if FOLDER in each.resolve().parts[:-1]]
    return placed or [each for each in found if mentions_us(each)]


# -- what is in them -----------------------------------------------------------------------------


def import_file(path: Path, root: Path) -> ModuleType:
    """Import a file, as `properties.lock` where it lies below `root`. Raises `CollectError`."""
    path, root = path.resolve(), root.resolve()
    if path.suffix != ".py":
        raise CollectError(f"{shown(path)}: properties are written in a Python file (.py)")
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
    except CollectError:
        raise
    except HappysimError as error:
        raise CollectError(f"{shown(path)}: {error}") from error
    except (Exception, SystemExit) as error:
        raise CollectError(
            f"{shown(path)}: cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _import_alone(path: Path) -> ModuleType:
    """Import a file under its own name; nothing else is called so afterwards."""
    name = path.stem
    known = sys.modules.get(name)
    if known is not None or name in sys.stdlib_module_names:
        home = getattr(known, "__file__", None) or "a module of Python"
        if known is not None and Path(home).resolve() == path:
            return known
        raise CollectError(
            f"{shown(path)}: the name {name} is taken by {home}; "
            "run this in the folder of the project that the file belongs to, or rename the file"
        )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CollectError(f"{shown(path)}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Half a module would be taken for a whole one the next time.
        del sys.modules[name]
        raise
    return module


def properties_in(module: ModuleType) -> Iterator[Property]:
    """The properties that a module defines, in order, each named as it is there.

    Raises `CollectError` for a function whose decorator was given no scenario.
    """
    seen: set[int] = set()
    for name, value in vars(module).items():
        if _lacks_scenario(name, value):
            raise CollectError(
                f"{module.__name__}.{name}: a property is stated over a scenario; "
                "write @always(scenario) with the function that makes the world"
            )
        if not isinstance(value, Property) or id(value) in seen or name.startswith("_"):
            continue
        if _is_imported(value, module):
            continue
        seen.add(id(value))
        value.name = name
        yield value


def _lacks_scenario(name: str, value: object) -> bool:
    """True for what a bare `@always` leaves: a decorator that took the property for a scenario."""
    if not isinstance(value, FunctionType) or value.__module__ != always.__module__:
        return False
    held = inspect.getclosurevars(value).nonlocals.values()
    return any(isinstance(each, Scenario) and each.function.__name__ == name for each in held)


def _is_imported(prop: Property, module: ModuleType) -> bool:
    """True for a property that is at home where its function, or its scenario, is written.

    One made here by `.over(...)` is not, though both may have been written elsewhere.
    """
    homes = {prop.module, prop.scenario.function.__module__} - {module.__name__}
    return any(
        each is prop
        for home in homes
        for each in getattr(sys.modules.get(home), "__dict__", {}).values()
    )


def gather(
    targets: list[Target], root: Path, unread: Callable[[CollectError], None] | None = None
) -> list[tuple[Path, Property]]:
    """Every property asked for, once, with its file. Raises `CollectError` where there is none.

    With `unread`, a file that cannot be read is told to it, and does not hide the others.
    """
    found: dict[int, tuple[Path, Property]] = {}
    for each in targets:
        known: list[str] = []
        matched = False
        for path in files_of(each.path):
            try:
                properties = list(properties_in(import_file(path, root)))
            except CollectError as error:
                if unread is None:
                    raise
                unread(error)
                matched = True
                continue
            for prop in properties:
                known.append(prop.name)
                if each.name in (None, prop.name):
                    matched = True
                    found.setdefault(id(prop), (path, prop))
        if not matched:
            there = f"it has {', '.join(known)}" if known else "state one with @always(scenario)"
            wanted = f"property {each.name!r}" if known else "properties"
            raise CollectError(f"{each.path}: no {wanted} there; {there}")
    return list(found.values())
