"""What Triton compiles, with its conversions of syntax trees in turn with all others of the process (see `syntax`)."""

from __future__ import annotations

from typing import Any

from triton.compiler import ASTSource

from ...syntax import CONVERTING


class Source(ASTSource):
    """A jitted function with the types of its parameters. Both methods parse it, and the functions that it calls."""

    def hash(self) -> str:
        with CONVERTING:
            return super().hash()  # type: ignore[no-any-return]

    def make_ir(self, *args: Any, **kwargs: Any) -> Any:
        with CONVERTING:
            return super().make_ir(*args, **kwargs)
