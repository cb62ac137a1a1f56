"""Settings that every test shares."""

from hypothesis import settings

# The same examples on every run: a test that fails today fails tomorrow, on any machine.
# No deadline: how long an example takes depends on the machine.
settings.register_profile("happysim", derandomize=True, deadline=None)
settings.load_profile("happysim")
