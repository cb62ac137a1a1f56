"""Another name of happysim: every public name of the one is a name of the other."""

from happysim import *  # noqa: F403 - that is what an alias is for
from happysim import __all__ as __all__
