"""What device code cannot do is refused with an error of the catalogue that points at the user's expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import helion
import helion.language as hl
from helion import exc

HOST = torch.randn(21, 24)

_UNSUPPORTED: list[tuple[str, Callable[..., Any]]] = [
    ("scatter", lambda x: x.scatter(1, x.long() * 0, x)),
    ("scatter_add", lambda x: torch.scatter_add(x, 1, x.long() * 0, x)),
    ("index_add", lambda x: torch.index_add(x, 1, torch.arange(24), x)),
    ("index_put", lambda x: torch.index_put(x, (x.long()[:, 0] * 0,), x)),
    ("index_copy", lambda x: torch.index_copy(x, 1, torch.arange(24), x)),
    ("mode", lambda x: torch.mode(x, 1)),
    ("unfold", lambda x: x.unfold(1, 3, 1)),
    ("conv1d", lambda x: F.conv1d(x[:, None, :], x[:, None, :3])),
    ("fft", lambda x: torch.fft.rfft(x)),
    ("max_pool1d", lambda x: F.max_pool1d(x[:, None, :], 2)),
    ("digamma", lambda x: torch.digamma(x)),
    ("polygamma", lambda x: torch.polygamma(1, x)),
    ("i0e", lambda x: torch.special.i0e(x)),
    ("pow of ints", lambda x: torch.pow(x.int(), x.int())),
    ("gcd", lambda x: torch.gcd(x.int(), x.int())),
    ("sort int64", lambda x: torch.sort(x.long(), 1)),
    ("sort float64", lambda x: torch.sort(x.double(), 1)),
    ("histc", lambda x: torch.histc(x)),
    ("inverse", lambda x: torch.linalg.inv(x[:, None, :2] * x[:, :2, None])),
    ("svd", lambda x: torch.linalg.svd(x)),
    ("cholesky", lambda x: torch.linalg.cholesky(x)),
    ("multinomial", lambda x: torch.multinomial(x, 3)),
    ("randperm", lambda x: torch.randperm(24) + x),
    ("rrelu training", lambda x: F.rrelu(x, training=True)),
    ("tensor of a list", lambda x: x[:, :2] + torch.tensor([1.0, 2.0])),
    ("ctc_loss", lambda x: F.ctc_loss(x[:, None], x.long(), x.long()[:, 0], x.long()[:, 0])),
    ("grid_sample", lambda x: F.grid_sample(x[:, None, None, :], x[:, None, None, :2])),
    ("interpolate", lambda x: F.interpolate(x[:, None, :], scale_factor=2)),
]  # fmt: skip

_OTHERS: list[tuple[str, type[exc.Base], Callable[..., Any]]] = [
    ("nonzero", exc.DataDependentShape, lambda x: torch.nonzero(x)),
    ("masked_select", exc.DataDependentShape, lambda x: torch.masked_select(x, x > 0)),
    ("unique", exc.DataDependentShape, lambda x: torch.unique(x)),
    ("unique_consecutive", exc.DataDependentShape, lambda x: torch.unique_consecutive(x)),
    ("bincount", exc.DataDependentShape, lambda x: torch.bincount(x.long()[:, 0])),
    ("boolean index", exc.DataDependentShape, lambda x: x[x > 0]),
    ("one_hot without classes", exc.DataDependentShape, lambda x: F.one_hot(x.long())),
    ("item", exc.DeviceValueAsPython, lambda x: x.sum().item()),
    ("tolist", exc.DeviceValueAsPython, lambda x: x.tolist()),
    ("numpy", exc.DeviceValueAsPython, lambda x: x.numpy()),
    ("complex", exc.DtypeMismatch, lambda x: torch.complex(x, x)),
    ("iteration over a tile", exc.InvalidArgument, lambda x: [row for row in x]),  # noqa: C416
    ("contains", exc.DeviceValueAsPython, lambda x: 3.0 in x),
    ("equal", exc.DeviceValueAsPython, lambda x: torch.equal(x, x)),
    ("host tensor", exc.HostTensorDirectUsage, lambda x: x + HOST),
    ("host tensor in a function", exc.HostTensorDirectUsage, lambda x: torch.maximum(x, HOST)),
    ("broadcast", exc.ShapeMismatch, lambda x: x + x[:, :5]),
    ("keepdim forgotten", exc.ShapeMismatch, lambda x: x - x.sum(1)),
    ("inner sizes", exc.ShapeMismatch, lambda x: x @ x),
    ("dimension out of range", exc.DimensionOutOfRange, lambda x: x.sum(3)),
    ("cat of other sizes", exc.ShapeMismatch, lambda x: torch.cat([x[:, None, :3], x[:, None, :4]], 1)),
    ("reshape to another size", exc.TracingFailed, lambda x: x.reshape(-1, 25)),
    ("gather of another rank", exc.ShapeMismatch, lambda x: torch.gather(x, 1, x.long()[:, 0])),
    ("topk too deep", exc.ShapeMismatch, lambda x: torch.topk(x, 30, 1)),
    ("expand", exc.ShapeMismatch, lambda x: x.expand(-1, 48)),
    ("reshape of padded dims", exc.UnsupportedReshape, lambda x: x.reshape(-1, 2, 12)),
    ("mean of ints", exc.DtypeMismatch, lambda x: x.int().mean(1)),
    ("matmul of two dtypes", exc.DtypeMismatch, lambda x: x[:, :, None] @ x.half()[:, None, :]),
    ("view of another width", exc.DtypeMismatch, lambda x: x.view(torch.int64)),
    ("shift of floats", exc.DtypeMismatch, lambda x: x << 1),
    ("bitwise and of floats", exc.DtypeMismatch, lambda x: x & x),
    ("slice of a tile", exc.InvalidArgument, lambda x: x[2:5]),
    ("index into a tile", exc.InvalidArgument, lambda x: x[3]),
    ("cat of tiles", exc.InvalidArgument, lambda x: torch.cat([x, x], 0)),
    ("pad of a tile", exc.InvalidArgument, lambda x: F.pad(x, (0, 0, 1, 1))),
    ("split of a tile", exc.InvalidArgument, lambda x: x.split(2, 0)),
    ("repeat of a tile", exc.InvalidArgument, lambda x: x.repeat(2, 1)),
    ("empty slice", exc.InvalidArgument, lambda x: x[:, 5:5]),
    ("float index", exc.InvalidIndexing, lambda x: x[:, x[:, 0]]),
    ("index out of range", exc.OutOfRangeIndex, lambda x: x[:, 24]),
    ("too many indices", exc.RankMismatch, lambda x: x[:, 0, 0]),
    ("join of a number", exc.InvalidArgument, lambda x: hl.join(x, 1.0)),
    ("scan of a list", exc.InvalidArgument, lambda x: hl.associative_scan(torch.add, [1.0], 0)),
    ("tile function of a value", exc.InvalidArgument, lambda x: hl.tile_begin(x)),
]


@helion.kernel(config=helion.Config(block_sizes=[16]))
def rows(x, out, function):
    for tile in hl.tile(x.size(0)):
        out[tile, :] = function(x[tile, :])


def _cases() -> list[Any]:
    records = [(name, exc.UnsupportedOperation, function) for name, function in _UNSUPPORTED] + _OTHERS
    return [pytest.param(error, function, id=name.replace(" ", "_")) for name, error, function in records]


@pytest.mark.parametrize(("error", "function"), _cases())
def test_refused(error: type[exc.Base], function: Callable[..., Any]) -> None:
    x = torch.randn(21, 24)
    rows.reset()
    with pytest.raises(exc.Base) as caught:
        rows(x, torch.empty_like(x), function)
    assert type(caught.value) is error, caught.value
    assert caught.value.location.filename.endswith("test_refused.py")
    assert caught.value.location.line == function.__code__.co_firstlineno
    assert "help:" in str(caught.value)
