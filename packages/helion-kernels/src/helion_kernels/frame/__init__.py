"""What every operation is built with. An operation's module needs these; `ahead` where it launches several kernels."""

from .ahead import ahead
from .kernel import kernel
from .operator import operator
from .samples import Call
from .support import usable

__all__ = ["Call", "ahead", "kernel", "operator", "usable"]
