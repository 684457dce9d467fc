"""Benchmarks of Helion kernels against reference implementations.

Nothing is here yet but the package and its command; see `helion_bench.__main__`.
"""

from importlib.metadata import version

__version__ = version("helion-bench")
__all__ = ["__version__"]
