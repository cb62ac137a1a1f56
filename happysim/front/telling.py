"""How an exception is told to a person: what it says, and where in their own files it happened."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from happysim.core.errors import HappysimError

_PACKAGE = Path(__file__).resolve().parents[1]
# Code that people look at, too: protocols are read and changed like one's own.
_PROTOCOLS = _PACKAGE / "protocols"
_LIBRARY = Path(sysconfig.get_path("stdlib"))


def tell(error: BaseException) -> str:
    """An error as text: its message, its notes, then the line of the person's code behind it.

    Errors of ours speak for themselves and get that line only; for any other, each frame of the
    person's code is listed, or the whole traceback where there is none.
    """
    notes = [f"  {note}" for note in getattr(error, "__notes__", ())]
    ours = isinstance(error, HappysimError)
    message = str(error) if ours else f"{type(error).__name__}: {error}"
    # A property that raised, or an import that failed, is the cause of the error of ours.
    frames = _own_frames(error.__cause__) if ours and error.__cause__ else []
    frames = frames or _own_frames(error)
    if not frames and not ours:
        return "".join(traceback.format_exception(error)).rstrip()
    places = [_place(frame) for frame in (frames[-1:] if ours else frames)]
    return "\n".join([message, *notes, *places])


def shown(path: Path) -> str:
    """A path as short as it can be from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _place(frame: traceback.FrameSummary) -> str:
    source = f"\n      {frame.line}" if frame.line else ""
    return f"  at {shown(Path(frame.filename))}:{frame.lineno}, in {frame.name}{source}"


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the person's code: below ours, and in no library of Python."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [_is_engine(frame.filename) for frame in frames]
    first = ours.index(True) if True in ours else 0
    rest = zip(frames[first:], ours[first:], strict=True)
    return [frame for frame, engine in rest if not engine and not _is_library(frame.filename)]


def _is_engine(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_PACKAGE) and not path.is_relative_to(_PROTOCOLS)


def _is_library(filename: str) -> bool:
    return filename.startswith("<") or Path(filename).is_relative_to(_LIBRARY)
