"""Every test here runs on both kernels."""

from tests.support.kernels import kernel

__all__ = ["kernel"]
