"""Kernels written by hand in Triton, as a user with some experience writes them: what Helion has to be worth.

Sizes of blocks follow a rule, nothing is tuned; forward passes only.
"""

from .backend import Handwritten

__all__ = ["Handwritten"]
