"""Tile loops that stand where they cannot, and jumps out of them."""

import torch

import helion
import helion.language as hl
from helion import exc

from .record import V, mistake


@helion.kernel(autotune_effort="none")
def another(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


@mistake(exc.NoDeviceLoop, "def no_loop(x):", "`no_loop` has no tile loop", "hl.tile", started=False)
def no_loop(x):
    return x * 2


@mistake(exc.NoDeviceLoop, "def only_a_python_loop(x):", "hl.tile", started=False)
def only_a_python_loop(x):
    out = torch.empty_like(x)
    for i in range(x.size(0)):
        out[i] = x[i] * 2
    return out


@mistake(exc.DeviceLoopWithoutEffect, "for tile in hl.tile(x.size(0))", "stores nothing", "out[tile] = ...")
def loop_without_effect(x):
    for tile in hl.tile(x.size(0)):
        y = x[tile, :] * 2
    return x


@mistake(exc.LoopFunctionNotInFor, "list(hl.tile(x.size(0)))", "`hl.tile`", "for tile in hl.tile")
def tiles_as_a_list(x):
    out = torch.empty_like(x)
    for tile in list(hl.tile(x.size(0))):
        out[tile, :] = x[tile, :]
    return out


@mistake(exc.LoopFunctionNotInFor, "iter(hl.tile(x.size(0)))", "`hl.tile`", "for tile in hl.tile")
def first_tile(x):
    out = torch.empty_like(x)
    tile = next(iter(hl.tile(x.size(0))))
    out[tile, :] = x[tile, :]
    return out


@mistake(exc.LoopFunctionNotInFor, "[x[tile, :] for tile in hl.tile(x.size(0))]", "`hl.tile`")
def tiles_in_a_comprehension(x):
    rows = [x[tile, :] for tile in hl.tile(x.size(0))]
    return rows


@mistake(exc.LoopFunctionNotInFor, "enumerate(hl.tile(x.size(0)))", "`hl.tile`")
def enumerated_tiles(x):
    out = torch.empty_like(x)
    for k, tile in enumerate(hl.tile(x.size(0))):
        out[tile, :] = x[tile, :] * k
    return out


@mistake(exc.LoopFunctionNotInFor, "zip(hl.tile(64), hl.tile(64), strict=True)", "`hl.tile`")
def zipped_tiles(x):
    out = torch.empty_like(x)
    for a, b in zip(hl.tile(64), hl.tile(64), strict=True):
        out[a, b] = x[a, b]
    return out


@mistake(exc.LoopFunctionNotInFor, "x[hl.tile(64), :]", "`hl.tile`")
def tile_loop_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[hl.tile(64), :]
    return out


@mistake(exc.LoopFunctionNotInFor, "with hl.tile(x.size(0))", "`hl.tile`")
def with_instead_of_for(x):
    out = torch.empty_like(x)
    with hl.tile(x.size(0)) as tile:
        out[tile, :] = x[tile, :]
    return out


@mistake(exc.DeviceLoopInHostControlFlow, "for tile in hl.tile(x.size(1))", "host `for`", "top level")
def tile_loop_in_a_host_loop(x):
    out = torch.empty_like(x)
    for i in range(x.size(0)):
        for tile in hl.tile(x.size(1)):
            out[i, tile] = x[i, tile]
    return out


@mistake(exc.DeviceLoopInHostControlFlow, "for tile in hl.tile(x.size(0))", "host `if`", "top level")
def tile_loop_under_a_host_if(x):
    out = torch.empty_like(x)
    if x.size(0) > 1:
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, :]
    return out


@mistake(exc.DeviceLoopInHostControlFlow, "for tile in hl.tile(x.size(0))", "host `while`", "top level")
def tile_loop_under_a_host_while(x):
    out = torch.empty_like(x)
    n = 0
    while n < 2:
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, :]
        n += 1
    return out


@mistake(exc.LoopDependencyError, "for column in hl.tile(out.size(1))", "reads `out`", "hl.barrier()")
def second_loop_reads_what_the_first_wrote(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] * 2
    for column in hl.tile(out.size(1)):
        x[:, column] = out[:, column]
    return out


@mistake(exc.NestedKernelCallsNotSupported, "another(x)", "`another`", "plain function", args=(V,))
def kernel_called_by_a_kernel(x):
    out = torch.empty_like(x)
    y = another(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = y[tile]
    return out


@mistake(exc.NestedKernelCallsNotSupported, "another(x[tile])", "`another`", "plain function", args=(V,))
def kernel_called_by_device_code(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = another(x[tile])
    return out


@mistake(exc.NotInsideKernel, "hl.tile(10)", "`hl.tile`", "@helion.kernel", script=True)
def tile_outside_a_kernel():
    for tile in hl.tile(10):
        print(tile)


@mistake(exc.NotInsideKernel, "hl.zeros([4])", "`hl.zeros`", script=True)
def zeros_outside_a_kernel():
    hl.zeros([4])


@mistake(exc.NotInsideKernel, "hl.zeros([x.size(0)])", "`hl.zeros`", "torch.zeros")
def device_zeros_on_the_host(x):
    out = hl.zeros([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, 0]
    return out


@mistake(exc.NotInsideKernel, "hl.load(x, [0, 0])", "`hl.load`")
def load_on_the_host(x):
    first = hl.load(x, [0, 0])
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = first
    return x


@mistake(exc.UnsupportedOperation, "hl.barrier()", "inside a tile loop", "top level")
def barrier_in_a_loop(x):
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = x[tile, 1]
        hl.barrier()
    return x


@mistake(exc.UnsupportedOperation, "hl.register_block_size(64)", "inside a tile loop", "before")
def block_size_registered_in_a_loop(x):
    for tile in hl.tile(x.size(0)):
        size = hl.register_block_size(64)
        x[tile, 0] = hl.zeros([tile, size]).sum(1)
    return x


@mistake(exc.InvalidArgument, "hl.tile(x.size(0), block_size=0)", "block size 0", "positive")
def block_size_zero(x):
    for tile in hl.tile(x.size(0), block_size=0):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(x.size(0), block_size=-1)", "block size -1", "positive")
def block_size_negative(x):
    for tile in hl.tile(x.size(0), block_size=-1):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(x.size(0), block_size=2.5)", "float", "int")
def block_size_fractional(x):
    for tile in hl.tile(x.size(0), block_size=2.5):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, 'hl.tile(x.size(0), block_size="x")', "str", "int")
def block_size_a_string(x):
    for tile in hl.tile(x.size(0), block_size="x"):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(x.size(), block_size=[16])", "2 ends and 1 block sizes")
def one_block_size_for_two_dims(x):
    for tile_m, tile_n in hl.tile(x.size(), block_size=[16]):
        x[tile_m, tile_n] = x[tile_m, tile_n] * 2
    return x


@mistake(exc.InvalidArgument, "hl.tile([])", "hl.tile", "one bound")
def no_bounds(x):
    for tile in hl.tile([]):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(0, [4, 4])", "1 begins, 2 ends")
def one_begin_for_two_ends(x):
    for a, b in hl.tile(0, [4, 4]):
        x[a, b] = 0.0
    return x


@mistake(exc.InvalidArgument, "hl.tile(x)", "host tensor", "x.size(0)")
def tensor_as_a_bound(x):
    for tile in hl.tile(x):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(None)", "None as a size or bound", "int")
def none_as_a_bound(x):
    for tile in hl.tile(None):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.tile(0.5)", "float", "int")
def fraction_as_a_bound(x):
    for tile in hl.tile(0.5):
        x[tile, 0] = x[tile, 1]
    return x


@mistake(exc.InvalidArgument, "hl.grid(0, 64, 0)", "step", "positive")
def grid_with_a_step_of_zero(x):
    for i in hl.grid(0, 64, 0):
        x[i, 0] = 1.0
    return x


@mistake(exc.InvalidArgument, "for tile_m, tile_n, tile_k in hl.tile(x.size())", "2 tiles into 3 names")
def three_names_for_two_tiles(x):
    for tile_m, tile_n, tile_k in hl.tile(x.size()):
        x[tile_m, tile_n] = x[tile_m, tile_k]
    return x


@mistake(exc.InvalidArgument, "for tile_m, tile_n in hl.tile(x.size(0))", "1 tile into 2 names", "hl.tile([")
def two_names_for_one_tile(x):
    for tile_m, tile_n in hl.tile(x.size(0)):
        x[tile_m, tile_n] = x[tile_m, tile_n] * 2
    return x


@mistake(exc.InvalidIndexing, "x[tiles, 0]", "tuple", "tiles[0]")
def one_name_for_two_tiles(x):
    out = torch.empty_like(x)
    for tiles in hl.tile(x.size()):
        out[0, 0] = x[tiles, 0].sum()
    return out


@mistake(exc.DeviceControlFlow, "for tile in hl.tile(x.size(0))", "`break` inside a device loop", "torch.where")
def break_out_of_a_tile_loop(x):
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = x[tile, 1]
        break
    return x


@mistake(exc.DeviceControlFlow, "for inner in hl.tile(x.size(1))", "`break` inside a device loop", "torch.where")
def break_on_a_device_condition(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile])
        for inner in hl.tile(x.size(1)):
            acc = acc + x[tile, inner].sum(1)
            if acc.sum() > 10:
                break
        out[tile] = acc
    return out


@mistake(exc.DeviceControlFlow, "for tile in hl.tile(x.size(0))", "`return` inside a device loop")
def return_from_a_tile_loop(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :]
        return out


@mistake(exc.DeviceControlFlow, "if x[tile, 0].sum() > 0", "`continue`", "if not condition")
def continue_on_a_device_condition(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        if x[tile, 0].sum() > 0:
            continue
        out[tile] = x[tile, 0]
    return out


@mistake(
    exc.LeftTileLoop,
    "x[tile, 0]",
    "`tile`",
    "loop",
)
def tile_used_after_its_loop(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, 1]
    last = x[tile, 0]
    return last


@mistake(exc.LeftTileLoop, "v + 1", "`v`", "loop")
def value_used_after_its_loop(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        v = x[tile, 1]
        out[tile] = v
    return out, v + 1


@mistake(exc.LeftTileLoop, "return total", "`total`", "hl.atomic_add(out, [...], total)")
def total_summed_up_over_the_grid(x):
    total = 0.0
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        total = total + x[tile, 0].sum()
        out[tile] = x[tile, 0]
    return total


@mistake(exc.DeviceControlFlow, "for tile in hl.tile(x.size(0))", "`else` of a tile loop", "behind the loop")
def tile_loop_with_an_else(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :]
    else:
        out.zero_()
    return out


@mistake(exc.DeviceControlFlow, "for tile in hl.tile(x.size(0))", "`return` inside", "return behind the loop")
def returns_in_the_loop(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :]
        return out


@mistake(exc.HostCodeBetweenLoops, "total * 2", "reads `total`", "writes", "behind the last tile loop")
def host_code_reads_what_a_loop_writes(x):
    total, out = x.new_empty([x.size(0)]), torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        total[tile] = x[tile, :].sum(1)
    doubled = total * 2
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] + 1
    return out, doubled


@mistake(exc.HostCodeBetweenLoops, "y.zero_()", "changes `y`", "reads", "make a new tensor")
def host_code_changes_what_a_loop_reads(x):
    y, first, second = x.clone(), torch.empty_like(x), torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        first[tile, :] = y[tile, :]
    y.zero_()
    for tile in hl.tile(x.size(0)):
        second[tile, :] = y[tile, :]
    return first, second


@mistake(
    exc.HostCodeBetweenLoops,
    "y[0] = 0",
    "changes `y`",
    "writes",
    "or make two kernels",
    settings={"static_shapes": False},
)
def host_code_changes_what_a_loop_writes(x):
    y = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        y[tile, :] = x[tile, :]
    hl.barrier()
    y[0] = 0
    for tile in hl.tile(x.size(0)):
        x[tile, :] = y[tile, :]


@mistake(exc.LoopDependencyError, "for tile_n in hl.tile(x.size(0))", "reads `total`", "hl.barrier()")
def reads_through_another_view(x):
    total, out = x.new_empty([x.size(0)]), torch.empty_like(x)
    column = total[:, None]
    for tile in hl.tile(x.size(0)):
        column[tile, 0] = x[tile, :].sum(1)
    for tile_n in hl.tile(x.size(0)):
        out[tile_n, :] = x[tile_n, :] + total[tile_n][:, None]
    return out
