"""A fixture that runs every test of a module on both kernels. A folder's conftest imports it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from happysim.kernel.switch import VARIABLE

NATIVE_IS_BUILT = find_spec("happysim.kernel._native") is not None

needs_native = pytest.mark.skipif(not NATIVE_IS_BUILT, reason="the native kernel is not built")


@pytest.fixture(
    scope="module", autouse=True, params=["reference", pytest.param("native", marks=needs_native)]
)
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the kernel that searches run on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, request.param)
        yield request.param
