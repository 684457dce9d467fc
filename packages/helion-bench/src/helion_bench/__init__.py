"""Benchmarks of Helion kernels against reference implementations.

The command is in `helion_bench.__main__`; reading and comparing stored runs needs no torch.
"""

from importlib.metadata import version

__version__ = version("helion-bench")
__all__ = ["__version__"]
