"""Messages show the author's names for sizes: block sizes by tile, arguments, offsets; never torch's symbols."""

import traceback

import pytest
import torch

import helion
import helion.language as hl
from helion import exc, location

X = torch.zeros(64, 64)


def inner_tile(x):
    for tile in hl.tile(x.size(0)):
        for inner in hl.tile(tile.begin, tile.end):
            x[tile, :] = x[inner, :] + x[tile, 0:32]


def number_argument(x, n):
    for tile in hl.tile(x.size(0)):
        x[tile, :] = hl.zeros([tile, n + 1]) + x[tile, :]


def view_of_a_number_argument(x, n):
    for tile in hl.tile(x.size(0)):
        x[tile, :] = x[tile, :].reshape(n, 3)


def grid_index(x, lengths):
    for tile in hl.tile(x.size(0)):
        for i in hl.grid(lengths[0]):
            x[tile, :] = hl.zeros([tile, 4]) + hl.zeros([tile, i])


def registered_block_size(x):
    size = hl.register_block_size(32)
    for tile_m in hl.tile(x.size(0), block_size=size):
        x[tile_m, :] = hl.zeros([tile_m, size * 2]) + x[tile_m, :]


def offsets(x):
    for tile in hl.tile(x.size(0)):
        x[tile, :] = hl.zeros([tile.end - tile.begin, 3]) + x[tile, :]


def begin_as_a_number(x):
    for tile in hl.tile(x.size(0)):
        x[tile, 0] = [1.0, 2.0][tile.begin]


def device_value_as_a_size(x, lengths):
    for tile in hl.tile(x.size(0)):
        length = lengths[0]
        x[tile, :] = hl.zeros([tile, length]) + x[tile, :]


CASES = [
    (inner_tile, (), "shapes [BLOCK_INNER, 64] and [BLOCK_TILE, 32]"),
    (number_argument, (5,), "shapes [BLOCK_TILE, 6] and [BLOCK_TILE, 64]"),
    (view_of_a_number_argument, (48,), "shape '[n, 3]' is invalid for input of size 64*BLOCK_TILE"),
    (grid_index, (torch.zeros(4, dtype=torch.int64),), "size 4 against i in dimension 1"),
    (registered_block_size, (), "size 2*BLOCK_M against 64"),
    (offsets, (), "-tile.begin + Min(64, BLOCK_TILE + tile.begin)"),
    (begin_as_a_number, (), "(tile.begin) is needed as a Python number"),
    (device_value_as_a_size, (torch.zeros(4, dtype=torch.int64),), "size length against 64"),
]


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize(("function", "args", "says"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_names(function, args, says, static):
    with pytest.raises(exc.Base) as caught:
        helion.kernel(function, static_shapes=static).bind((X, *args))
    assert says in str(caught.value)


def test_sizes_of_dynamic_kernels_are_those_of_the_call():
    def kernel(x, y):
        for tile in hl.tile(x.size(0)):
            x[tile, :] = x[tile, :] + y[tile, :]

    with pytest.raises(exc.TileSizeMismatch, match=r"`tile` runs to 64.*`y`, whose size is 32"):
        helion.kernel(kernel, static_shapes=False).bind((X, torch.zeros(32, 64)))


def test_what_torch_says_of_host_code_names_the_arguments():
    @helion.kernel()
    def kernel(x, n: int):
        v = x.view(64, n, 64 // n)
        for tile in hl.tile(x.size(0)):
            v[tile, 0, 0] = 0

    with pytest.raises(RuntimeError, match=r"shape '\[64, n, \(64//n\)\]' is invalid"):
        kernel.bind((X, 5))


def test_functions_go_by_the_names_that_the_author_gave_them():
    @helion.kernel()
    def kernel(x):
        for tile in hl.tile(x.size(0)):
            x[tile, 0] = hl.reduce(lambda a: a, x[tile, :], dim=1)

    with pytest.raises(exc.TracingFailed, match=r"TypeError: <lambda>\(\) takes 1 positional argument"):
        kernel.bind((X,))


def test_the_traceback_of_a_call_shows_one_frame_of_ours():
    @helion.kernel()
    def kernel(x):
        for tile in hl.tile(x.size(0)):
            x[tile, 0] = x[tile, :]

    with pytest.raises(exc.ShapeMismatch) as caught:
        kernel(X)
    frames = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert [location.is_own_file(name) for name in frames] == [False, True, False, False]
