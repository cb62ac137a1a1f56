"""Reductions that the kernels do not have, in plain Python: what they leave of worlds and steps."""
