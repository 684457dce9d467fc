"""What Dynamo does with a call of a kernel. Imported while it traces, so that torch._dynamo is there already."""

from __future__ import annotations

from typing import Any

import torch

from .handles import kernel_of


def call_in_graph(handle: str, *args: Any, **kwargs: Any) -> Any:
    """A call of a kernel as one node of the graph: Dynamo does not look inside, what comes after it does."""
    return kernel_of(handle)(*args, **kwargs)


torch.compiler.allow_in_graph(call_in_graph)
