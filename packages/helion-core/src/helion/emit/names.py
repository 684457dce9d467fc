"""Names in generated code: unique, and never one that Python, Triton or the module already uses."""

from __future__ import annotations

import builtins
import keyword
import re

RESERVED = frozenset(
    {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "tl", "triton", "torch", "libdevice", "self"}
)


class Names:
    """Hands out names; each is given once."""

    def __init__(self, taken: set[str] | None = None) -> None:
        self._taken = set(RESERVED) | (taken or set())

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`, ... where it is taken."""
        base = re.sub(r"\W", "_", hint) or "v"
        name, k = base, 0
        while name in self._taken:
            k += 1
            name = f"{base}_{k}"
        self._taken.add(name)
        return name
