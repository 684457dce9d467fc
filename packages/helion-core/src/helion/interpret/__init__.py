"""Runs a kernel as plain PyTorch, tile by tile, so that `print`, pdb and `breakpoint()` see real values.

Enters: the rewritten function, real arguments, a config. Leaves: what the function returns. Tiles have the config's
sizes; the last tile of a range is as short as what is left of it.
"""
