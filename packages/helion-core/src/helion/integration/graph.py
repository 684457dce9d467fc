"""What Dynamo does with a call of a kernel. Imported while it traces, so that torch._dynamo is there already."""

from __future__ import annotations

from typing import Any

import torch

from .handles import kernel_of


def call_in_graph(handle: str, *args: Any, **kwargs: Any) -> Any:
    """A call of a kernel as one node of the graph: Dynamo does not look inside, what comes after it does."""
    return kernel_of(handle)(*args, **kwargs)


def operator_in_graph(library: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """A call of a named operator as one node of the graph.

    The operator itself could stand there, but then torch would keep the compiled graph on disk under its name, though
    neither what its backward does nor the shapes of its outputs are part of that name.
    """
    return getattr(getattr(torch.ops, library), name).default(*args, **kwargs)


torch.compiler.allow_in_graph([call_in_graph, operator_in_graph])
