"""The host code of an export: the user's own, as a module that imports neither helion nor triton."""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING, Any

import sympy

from .. import exc
from ..emit.expressions import Printer
from ..emit.wrapper import KERNEL, LAUNCH, UNITS
from ..frontend.definitions import Definitions, free_names

if TYPE_CHECKING:
    from ..emit.module import Generated
    from ..trace.trace import Traced

BANNED = ("helion", "triton")
_GIVEN = {KERNEL, LAUNCH, UNITS, "torch"}  # the loader puts these into the module


def host_module(generated: Generated, traced: Traced) -> str:
    """The text of the module. Raises `CannotExport` for host code that needs what text cannot say."""
    node = copy.deepcopy(generated.host)
    definitions = Definitions(BANNED)
    definitions.add_names(free_names(node) - _GIVEN, generated.source.function)
    for name, why in definitions.missing.items():
        raise exc.CannotExport(
            kernel=generated.program.name, reason=f"its host code reads `{name}`, but {why}",
            instead=f"pass `{name}` as an argument, or compute what is needed of it inside the kernel",
        )  # fmt: skip
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
    holds = " and ".join(conditions(traced, generated.program.name)) or "True"
    return (
        f'"""The host code of {generated.program.name}; the loader provides what starts with an underscore."""\n\n'
        f"from __future__ import annotations\n\nimport torch\n{definitions.text()}\n\n{ast.unparse(node)}\n\n\n"
        f"def _holds({', '.join(names)}):\n    return {holds}\n"
    )


def conditions(traced: Traced, kernel: str) -> list[str]:
    """The conditions on arguments under which the trace holds, as Python text. Raises `CannotExport`."""

    def symbol(s: Any) -> str:
        if s not in traced.symbols:
            raise exc.CannotExport(
                kernel=kernel, reason=f"it was traced under a condition on {s}, which is no number of its arguments",
                instead="compute the condition before the call and pass it as a bool",
            )  # fmt: skip
        return traced.symbols[s]

    printer = Printer(symbol, device=False)
    return [*traced.facts, *(printer(guard) for guard in traced.guards if guard is not sympy.true)]
