"""What every operation is built with. An operation's module needs `kernel`, `operator`, `usable` and `Call`."""

from .kernel import kernel
from .operator import operator
from .samples import Call
from .support import usable

__all__ = ["Call", "kernel", "operator", "usable"]
