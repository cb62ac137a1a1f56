"""Every public name imports from `happysimulator` as well."""

from __future__ import annotations

import pytest

import happysim

happysimulator = pytest.importorskip(
    "happysimulator", reason="the alias package is there once happysim is installed"
)


def test_every_public_name_is_the_same_object_under_both_names() -> None:
    assert happysimulator.__all__ == happysim.__all__
    for name in happysim.__all__:
        assert getattr(happysimulator, name) is getattr(happysim, name), name
