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
_NATIVE = "happysim.kernel._native"


def kernel() -> Any:
    """The kernel to use: a module with a `name` and an `explore`, as `happysim.kernel.reference`.

    Raises `ImportError` where the native one is asked for and cannot be had.
    """
    return _kernel(os.environ.get(VARIABLE, ""))


@functools.cache
def _kernel(wanted: str) -> Any:
    if wanted not in ("", "reference", "native"):
        raise ImportError(f"{VARIABLE}={wanted} is no kernel; write reference or native")
    if wanted == "reference":
        return reference
    try:
        native = import_module(_NATIVE)
    except ImportError as error:
        if wanted:
            raise ImportError(f"the native kernel is not built ({error}); see README.md") from error
        return reference
    if native.CONTRACT == contract.VERSION:
        return native
    stale = "the native kernel was built for another version of happysim; install it again"
    if wanted:
        raise ImportError(stale)
    warnings.warn(f"{stale}. Until then the reference kernel is used", stacklevel=3)
    return reference
