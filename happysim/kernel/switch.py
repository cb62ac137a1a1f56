"""Which kernel a search runs on: the native one where it was built, else the reference.

`HAPPYSIM_KERNEL=reference` or `native` in the environment chooses. Both do the same, one faster.
"""

from __future__ import annotations

import functools
import os
import warnings
from importlib import import_module
from typing import Any

from happysim.kernel import contract, reference

VARIABLE = "HAPPYSIM_KERNEL"


def kernel() -> Any:
    """The kernel to use: a module with a `name` and an `explore`, as `happysim.kernel.reference`.

    Raises `ImportError` where the native one is asked for and cannot be had.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "reference", "native"):
        raise ImportError(f"{VARIABLE}={wanted} is no kernel; write reference or native")
    built, why_not = (None, "") if wanted == "reference" else native()
    if built is None and wanted == "native":
        raise ImportError(why_not)
    return built or reference


def kernel_for(plan: contract.Plan) -> Any:
    """The kernel to use for a search: `kernel()`, or the reference for what that cannot do.

    Up to symmetry the native kernel does not search depth first with a limit on depth.
    """
    chosen = kernel()
    cut = plan.depth_first and plan.depth is not None
    return reference if plan.symmetric and cut else chosen


@functools.cache
def native() -> tuple[Any, str]:
    """The native kernel; where it cannot be used: None, and why."""
    try:
        built = import_module("happysim.kernel._native")
    except ImportError as error:
        return None, f"the native kernel is not built: {error}"
    if built.CONTRACT == contract.VERSION:
        return built, ""
    stale = "the native kernel was built for another version of happysim; install it again"
    warnings.warn(f"{stale}. Until then searches use the reference kernel", stacklevel=4)
    return None, stale
