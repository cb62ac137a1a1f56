"""How much memory this process uses, and how much there is, in MiB, as far as the system tells."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # there only on Unix
    resource = None  # type: ignore[assignment]


def used_mib() -> float:
    """Memory of this process now; its peak where the system tells no more; else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        if resource is None:
            return 0.0
    # In KiB, but on macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def machine_mib() -> float:
    """Memory of the machine; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (AttributeError, ValueError, OSError):
        return math.inf


def available_mib() -> float | None:
    """Memory that this process could still get; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration, ValueError):
        return None
