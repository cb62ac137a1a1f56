"""Progress of a search on a terminal: worlds, steps a second, depth, memory, time."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status

from happysim.kernel.contract import Exploration
from happysim.kernel.memory import used_mib

_EVERY_SECONDS = 0.2


class Progress:
    """A line that tells how far a search is; silent where the output is not a terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self.title = title
        self.began = self.told = time.perf_counter()
        self.status = Status(title, console=console) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self.status is not None:
            self.status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.status is not None:
            self.status.stop()

    def __call__(self, found: Exploration) -> None:
        now = time.perf_counter()
        if self.status is None or now - self.told < _EVERY_SECONDS:
            return
        self.told = now
        seconds = now - self.began
        mib = used_mib()
        self.status.update(
            f"{self.title}: {found.worlds:,} worlds, {found.steps / seconds:,.0f} steps/s, "
            f"depth {found.depth}, {mib:,.0f} MiB, {seconds:.0f} s"
        )
