"""Ready-made, tuned kernels written in Helion.

Nothing is here yet but the package itself: each operation will be one module, `helion_kernels.<op>`, with its kernel,
its host function, its `torch.library` registration and a public function shaped like torch's.
"""

from importlib.metadata import version

__version__ = version("helion-kernels")
__all__ = ["__version__"]
