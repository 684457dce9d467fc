"""From a rewritten function and example arguments to a `Program`.

Enters: the function and its arguments. The function runs once: host statements on fake tensors, tile loops on
`TileTensor`s whose operations are recorded. Leaves: an immutable `ir.Program` and what the wrapper needs to launch it.

`trace` goes from arguments to the program, by an `engine` that rewritten code calls: `ranges`, `loops`, `branches`,
`conditions`, `callees` and `library` hold what its methods do. `modes` hands torch's operators to `operators/`. All of
them record with a `tracer`, which stands on `sizes` and `state`: what one trace knows.
"""

from ..collection import uncollected

with uncollected():  # what traces need that takes longest to import
    import sympy  # noqa: F401
    import torch.fx.experimental.symbolic_shapes  # noqa: F401
