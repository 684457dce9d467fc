"""`python -m helion explain FILE:KERNEL`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import exc
from ..config import Config
from ..explain.report import report
from ..explain.show import SECTIONS, console, show
from ..runtime.kernel import Kernel
from ..runtime.targets import parse_target
from .arguments import describe_arguments, parse_arguments, parse_dtype
from .files import Call, choose_kernel, load_file, typical_calls

_DESCRIPTION = """\
Explains a kernel without running it: the program that was traced, the space of its configs, the generated code,
registers, spills, shared memory and matrix instructions of the compiled kernel, how many programs a multiprocessor
holds, bytes and operations counted over the program, and the shortest time that the GPU's figures allow.

Arguments come from --args, or from a function `typical(device, dtype)` in the file that yields pairs of a function and
its arguments. Tensors have no data, so any size will do.
"""
_EXAMPLES = """\
examples:
  python -m helion explain kernels.py:matmul --args "bf16[4096, 4096], bf16[4096, 4096]"
  python -m helion explain kernels.py:softmax --args "x=f32[8192, 8192].strides[1, 8192]" --section facts,roofline
  python -m helion explain kernels.py:matmul --config default --config best.json --target sm_100
  python -m helion explain kernels.py:matmul --config '{"block_sizes": [64, 64, 32]}' --json
"""


def add(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "explain", help="what a kernel computes, its choices, its code and its cost", description=_DESCRIPTION,
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("kernel", metavar="FILE:KERNEL", help="KERNEL may be left out where the file has only one")
    parser.add_argument("--args", help='arguments, as in "x=bf16[64, 32], y=f32[8].strides[2], eps=1e-5, causal=True"')
    parser.add_argument("--call", type=int, default=1, metavar="N", help="which of the typical calls (default: 1)")
    parser.add_argument("--dtype", default="bf16", help="what `typical` is called with (default: bf16)")
    parser.add_argument("--target", default="sm_90", help="the architecture (default: sm_90)")
    parser.add_argument(
        "--config", action="append", metavar="JSON|FILE|default",
        help="a config; several are shown side by side (default: the default config)",
    )  # fmt: skip
    parser.add_argument("--section", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the reports. Raises errors of the catalogue."""
    sections = _sections(options.section)
    target = parse_target(options.target)
    configs = [_config(text) for text in options.config or ["default"]]
    file, _, name = options.kernel.partition(":")
    module = load_file(Path(file))
    kernel = choose_kernel(module, name)
    if options.args is not None:
        call = _given(kernel, options.args)
    else:
        dtype = parse_dtype(options.dtype)
        call = _typical([c for c in typical_calls(module, dtype, target) if c.bound.kernel is kernel], kernel, options)
    reports = [report(call.bound, call.args, target, config) for config in configs]
    if options.json:
        print(json.dumps([r.to_dict() for r in reports], indent=1))
    else:
        show(reports, describe_arguments(call.args), sections, console())
    return 0


def _sections(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    for name in found:
        if name not in SECTIONS:
            raise exc.CommandFailed(problem=f"there is no section `{name}`", instead=f"sections: {', '.join(SECTIONS)}")
    return found


def _config(text: str) -> Config | None:
    """A config from JSON, from a file of it, or None for the default."""
    if text == "default":
        return None
    return Config.from_json(text) if text.lstrip().startswith("{") else Config.load(text)


def _given(kernel: Kernel, text: str) -> Call:
    positional, keywords = parse_arguments(text)
    args = kernel.normalize_args(*positional, **keywords)
    return Call(kernel.bind(args), args)


def _typical(calls: list[Call], kernel: Kernel, options: argparse.Namespace) -> Call:
    if not 1 <= options.call <= len(calls):
        found = f"makes {len(calls)} different calls of `{kernel.name}`" if calls else f"does not call `{kernel.name}`"
        raise exc.CommandFailed(
            problem=f"`typical` {found}", instead="give --args, or --call with one of their numbers"
        )
    return calls[options.call - 1]
