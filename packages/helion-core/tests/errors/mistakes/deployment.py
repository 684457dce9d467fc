"""Kernels and folders that cannot be exported, and command lines that name what is not there."""

import torch

import helion
import helion.language as hl
from helion import exc

from .record import V, mistake

BIAS = torch.zeros(64)


@helion.kernel(use_default_config=True)
def scale(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


@helion.kernel(use_default_config=True)
def shifted(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + BIAS[tile]
    return out


@mistake(
    exc.CannotExport,
    'shifted.bind((V,)).export("exported", targets=["sm_90"])',
    "reads `BIAS`",
    "as an argument",
    script=True,
)
def export_of_a_kernel_that_reads_a_global_tensor():
    shifted.bind((V,)).export("exported", targets=["sm_90"])


@mistake(exc.CannotExport, 'scale.bind((V,)).export("exported")', "no target is named", "sm_90", script=True)
def export_for_no_target():
    scale.bind((V,)).export("exported")


@mistake(exc.NotAnExport, 'scale.bind((V,)).export("/", ', "`/`", "is not replaced", "name a new folder", script=True)
def export_over_a_folder_of_something_else():
    scale.bind((V,)).export("/", targets=["sm_90"])


@mistake(exc.CommandFailed, 'parse_arguments("x=bf16[64")', "does not read as arguments", "bf16[4096", script=True)
def arguments_that_do_not_read():
    from helion.command.arguments import parse_arguments

    parse_arguments("x=bf16[64")
