"""The operator table: one record per torch function, with sample inputs, dtypes, a reference and tolerances.

`function` is called on tiles inside a kernel and on whole tensors outside; the reference is the function itself in
float64 (or as it is, for integers), so every record has to be correct row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

Maker = Callable[[Sequence[int], torch.dtype], torch.Tensor]

f32, f16, bf16, i32, i64, u8, i8, b8 = (
    torch.float32, torch.float16, torch.bfloat16, torch.int32, torch.int64, torch.uint8, torch.int8, torch.bool,
)  # fmt: skip
HALVES = (f16, bf16)
FLOATS = (f32, f16, bf16)
INTS = (i32, i64)


# --- sample inputs: each draws from torch's generator, which the test seeds


def normal(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Numbers around 0: normal floats, ints from -9 to 9, bools."""
    if dtype is torch.bool:
        return torch.randint(0, 2, shape).bool()
    if dtype.is_floating_point:
        return torch.randn(shape).to(dtype)
    low = 0 if dtype is torch.uint8 else -9
    return torch.randint(low, 10, shape).to(dtype)


def positive(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Numbers from about 0.5 to 3; ints from 1 to 9."""
    return (
        (torch.rand(shape) * 2.5 + 0.5).to(dtype) if dtype.is_floating_point else torch.randint(1, 10, shape).to(dtype)
    )


def unit(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Numbers from 0.05 to 0.95."""
    return (torch.rand(shape) * 0.9 + 0.05).to(dtype)


def bounded(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Numbers from -0.95 to 0.95."""
    return (torch.rand(shape) * 1.9 - 0.95).to(dtype)


def special(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Normal numbers with infinities, NaNs, zeros and halves sprinkled in."""
    x = torch.randn(shape)
    marks = torch.tensor([float("inf"), float("-inf"), float("nan"), 0.0, 0.5, -0.5, 1.5, 2.5])
    where = torch.rand(shape) < 0.2
    return torch.where(where, marks[torch.randint(0, len(marks), shape)], x).to(dtype)


def nans(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Normal numbers of which some rows hold NaNs."""
    x = torch.randn(shape)
    x[1::3, 2::5] = float("nan")
    return x.to(dtype)


def distinct(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Rows of which no two numbers are equal, in any dtype."""
    return torch.stack([torch.randperm(shape[1]) - shape[1] // 2 for _ in range(shape[0])]).to(dtype)


def shifts(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Small ints that a number may be shifted by."""
    return torch.randint(0, 5, shape).to(dtype)


def index(count: int, width: int) -> Maker:
    """int64 positions below `count`, `width` in a row."""
    return lambda shape, dtype: torch.randint(0, count, (shape[0], width))


def flags(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    return torch.randint(0, 2, shape).bool()


def block(*sizes: int) -> Maker:
    """Rows that are small matrices or more: normal numbers of [rows, *sizes]."""
    return lambda shape, dtype: normal((shape[0], *sizes), dtype)


@dataclass(frozen=True)
class Record:
    """One torch function. `scale` multiplies the tolerance of the dtype; `columns` is the size of a row."""

    name: str
    function: Callable[..., object]
    inputs: tuple[Maker, ...]
    dtypes: tuple[torch.dtype, ...] = FLOATS
    elementwise: bool = False
    scale: float = 1.0
    columns: int = 23
    exact: bool = False

    def __str__(self) -> str:
        return self.name


def pointwise(
    name: str, function: Callable[..., object], *inputs: Maker,
    dtypes: Sequence[torch.dtype] = FLOATS, scale: float = 1.0,
) -> Record:  # fmt: skip
    return Record(name, function, inputs or (normal,), tuple(dtypes), elementwise=True, scale=scale)


def rows(
    name: str, function: Callable[..., object], *inputs: Maker,
    dtypes: Sequence[torch.dtype] = FLOATS, scale: float = 1.0,
    columns: int = 23, exact: bool = False,
) -> Record:  # fmt: skip
    return Record(name, function, inputs or (normal,), tuple(dtypes), scale=scale, columns=columns, exact=exact)


UNARY = [
    pointwise("abs", torch.abs, dtypes=(*FLOATS, *INTS)),
    pointwise("neg", torch.neg, dtypes=(*FLOATS, *INTS)),
    pointwise("square", torch.square),
    pointwise("sqrt", torch.sqrt, positive),
    pointwise("rsqrt", torch.rsqrt, positive),
    pointwise("reciprocal", torch.reciprocal, positive),
    pointwise("exp", torch.exp),
    pointwise("exp2", torch.exp2),
    pointwise("expm1", torch.expm1),
    pointwise("log", torch.log, positive),
    pointwise("log2", torch.log2, positive),
    pointwise("log10", torch.log10, positive),
    pointwise("log1p", torch.log1p, positive),
    pointwise("sin", torch.sin),
    pointwise("cos", torch.cos),
    pointwise("tan", torch.tan, bounded, scale=4),
    pointwise("asin", torch.asin, bounded),
    pointwise("acos", torch.acos, bounded),
    pointwise("atan", torch.atan),
    pointwise("sinh", torch.sinh),
    pointwise("cosh", torch.cosh),
    pointwise("tanh", torch.tanh),
    pointwise("asinh", torch.asinh),
    pointwise("acosh", lambda x: torch.acosh(x + 1), positive, scale=2),
    pointwise("atanh", torch.atanh, bounded, scale=2),
    pointwise("erf", torch.erf),
    pointwise("erfc", torch.erfc),
    pointwise("erfinv", torch.erfinv, bounded, dtypes=(f32,), scale=4),
    pointwise("sigmoid", torch.sigmoid),
    pointwise("logit", lambda x: torch.logit(x, eps=1e-3), unit, scale=4),
    pointwise("floor", torch.floor, special),
    pointwise("ceil", torch.ceil, special),
    pointwise("trunc", torch.trunc, special),
    pointwise("round", torch.round, special),
    pointwise("round decimals", lambda x: torch.round(x, decimals=1), dtypes=(f32,)),
    pointwise("frac", torch.frac),
    pointwise("sign", torch.sign, dtypes=(*FLOATS, *INTS)),
    pointwise("sgn", torch.sgn),
    pointwise("signbit", torch.signbit),
    pointwise("isnan", torch.isnan, special),
    pointwise("isinf", torch.isinf, special),
    pointwise("isfinite", torch.isfinite, special),
    pointwise("isposinf", torch.isposinf, special),
    pointwise("isneginf", torch.isneginf, special),
    pointwise("nan_to_num", lambda x: torch.nan_to_num(x, 1.0, 2.0, -3.0), special),
    pointwise("deg2rad", torch.deg2rad),
    pointwise("rad2deg", torch.rad2deg, bounded),
    pointwise("logical_not", torch.logical_not, dtypes=(f32, i32, b8)),
    pointwise("bitwise_not", torch.bitwise_not, dtypes=(*INTS, u8, b8)),
    pointwise("lgamma", torch.lgamma, positive, dtypes=(f32,), scale=4),
    pointwise("i0", torch.i0, bounded, dtypes=(f32,), scale=4),
    pointwise("sinc", torch.sinc, positive, dtypes=(f32,), scale=2),
    pointwise("ndtr", torch.special.ndtr, dtypes=(f32,)),
    pointwise("entr", torch.special.entr, positive, dtypes=(f32,)),
    pointwise("log_ndtr", torch.special.log_ndtr, dtypes=(f32,), scale=4),
    pointwise("positive", torch.positive),
    pointwise("clone", torch.clone),
    pointwise("polar real", lambda x: torch.cos(x) * x),
]

ACTIVATIONS = [
    pointwise("relu", torch.relu, dtypes=(*FLOATS, i32)),
    pointwise("relu6", F.relu6),
    pointwise("leaky_relu", lambda x: F.leaky_relu(x, 0.1)),
    pointwise("elu", F.elu),
    pointwise("selu", F.selu, scale=2),
    pointwise("celu", lambda x: F.celu(x, 1.5), scale=2),
    pointwise("gelu", F.gelu),
    pointwise("gelu tanh", lambda x: F.gelu(x, approximate="tanh")),
    pointwise("silu", F.silu),
    pointwise("mish", F.mish),
    pointwise("softplus", F.softplus),
    pointwise("softplus beta", lambda x: F.softplus(x, beta=2.0, threshold=1.0)),
    pointwise("softsign", F.softsign, scale=2),
    pointwise("logsigmoid", F.logsigmoid),
    pointwise("tanhshrink", F.tanhshrink, scale=4),
    pointwise("hardshrink", lambda x: F.hardshrink(x, 0.5)),
    pointwise("softshrink", lambda x: F.softshrink(x, 0.5)),
    pointwise("hardtanh", lambda x: F.hardtanh(x, -0.5, 0.75)),
    pointwise("hardsigmoid", F.hardsigmoid),
    pointwise("hardswish", F.hardswish),
    pointwise("threshold", lambda x: F.threshold(x, 0.25, 7.0)),
    pointwise(
        "prelu", lambda x, w: F.prelu(x, w[:, 0]) if x.dim() == 1 else torch.where(x > 0, x, w * x), normal, normal
    ),
    pointwise("rrelu eval", lambda x: F.rrelu(x, 0.1, 0.3, training=False), scale=2),
    pointwise("dropout eval", lambda x: F.dropout(x, 0.5, training=False)),
]

BINARY = [
    pointwise("add", torch.add, normal, normal, dtypes=(*FLOATS, *INTS, u8)),
    pointwise("add alpha", lambda x, y: torch.add(x, y, alpha=3), normal, normal, dtypes=(f32, i32)),
    pointwise("sub", torch.sub, normal, normal, dtypes=(*FLOATS, *INTS)),
    pointwise("rsub", lambda x, y: torch.rsub(x, y, alpha=2), normal, normal, dtypes=(f32, i32)),
    pointwise("mul", torch.mul, normal, normal, dtypes=(*FLOATS, *INTS, b8)),
    pointwise("div", torch.div, normal, positive, dtypes=(*FLOATS, *INTS)),
    pointwise("div floor", lambda x, y: torch.div(x, y, rounding_mode="floor"), normal, positive, dtypes=(f32, *INTS)),
    pointwise("div trunc", lambda x, y: torch.div(x, y, rounding_mode="trunc"), normal, positive, dtypes=(f32, *INTS)),
    pointwise("floor_divide", torch.floor_divide, normal, positive, dtypes=(f32, *INTS)),
    pointwise("remainder", torch.remainder, normal, positive, dtypes=(f32, *INTS)),
    pointwise("remainder negative", lambda x, y: torch.remainder(x, -y), normal, positive, dtypes=(f32, *INTS)),
    pointwise("fmod", torch.fmod, normal, positive, dtypes=(f32, *INTS)),
    pointwise("pow", torch.pow, positive, normal, scale=4),
    pointwise("pow 2", lambda x: x**2, dtypes=(*FLOATS, *INTS), scale=2),
    pointwise("pow 3", lambda x: x**3, dtypes=(f32, i32)),
    pointwise("pow 0.5", lambda x: x**0.5, positive),
    pointwise("pow -1.5", lambda x: x**-1.5, positive),
    pointwise("pow base", lambda x: 2.0**x, dtypes=(f32,)),
    pointwise("maximum", torch.maximum, special, special),
    pointwise("minimum", torch.minimum, special, special),
    pointwise("fmax", torch.fmax, special, special),
    pointwise("fmin", torch.fmin, special, special),
    pointwise("maximum int", torch.maximum, normal, normal, dtypes=INTS),
    pointwise("atan2", torch.atan2, normal, positive, scale=2),
    pointwise("hypot", torch.hypot, normal, normal, dtypes=(f32,)),
    pointwise("copysign", torch.copysign, normal, normal),
    pointwise("nextafter", torch.nextafter, normal, normal, dtypes=(f32,)),
    pointwise("heaviside", torch.heaviside, special, normal, dtypes=(f32,)),
    pointwise("xlogy", torch.xlogy, normal, positive, scale=2),
    pointwise("xlog1py", torch.special.xlog1py, normal, positive, dtypes=(f32,)),
    pointwise("logaddexp", torch.logaddexp, normal, normal, dtypes=(f32,)),
    pointwise("logaddexp2", torch.logaddexp2, normal, normal, dtypes=(f32,)),
    pointwise("ldexp", lambda x: torch.ldexp(x, torch.full_like(x, 3.0)), dtypes=(f32,)),
    pointwise("eq", torch.eq, normal, normal, dtypes=(f32, *INTS, b8)),
    pointwise("ne", torch.ne, special, special),
    pointwise("lt", torch.lt, special, special),
    pointwise("le", torch.le, normal, normal, dtypes=(f32, i32)),
    pointwise("gt", torch.gt, normal, normal, dtypes=(f32, i64)),
    pointwise("ge", torch.ge, normal, normal, dtypes=(f32, i32)),
    pointwise("isclose", lambda x, y: torch.isclose(x, y, rtol=0.5), normal, normal, dtypes=(f32,)),
    pointwise("logical_and", torch.logical_and, normal, normal, dtypes=(f32, i32, b8)),
    pointwise("logical_or", torch.logical_or, normal, normal, dtypes=(i32, b8)),
    pointwise("logical_xor", torch.logical_xor, normal, normal, dtypes=(f32, b8)),
    pointwise("bitwise_and", torch.bitwise_and, normal, normal, dtypes=(*INTS, u8, b8)),
    pointwise("bitwise_or", torch.bitwise_or, normal, normal, dtypes=(*INTS, b8)),
    pointwise("bitwise_xor", torch.bitwise_xor, normal, normal, dtypes=(*INTS, b8)),
    pointwise("left shift", lambda x, y: x << y, normal, shifts, dtypes=INTS),
    pointwise("right shift", lambda x, y: x >> y, normal, shifts, dtypes=INTS),
    pointwise("scalar mix", lambda x: (x + 1) * 2 - 0.5, dtypes=(f32, f16, i32)),
    pointwise("promotion", lambda x: x.to(torch.int32) + x, dtypes=(f32, f16)),
]

TERNARY = [
    pointwise("where", torch.where, flags, normal, normal, dtypes=(*FLOATS, i32)),
    pointwise("where scalar", lambda c, x: torch.where(c, x, 0.0), flags, normal),
    pointwise("clamp", lambda x: torch.clamp(x, -0.5, 0.75)),
    pointwise("clamp int", lambda x: torch.clamp(x, -2, 5), dtypes=INTS),
    pointwise("clamp min", lambda x: x.clamp(min=0.1), special),
    pointwise("clamp max", lambda x: x.clamp_max(0.1)),
    pointwise("clamp tensors", lambda x, a: torch.clamp(x, -a, a), normal, positive),
    pointwise("lerp", lambda x, y: torch.lerp(x, y, 0.25), normal, normal, scale=2),
    pointwise("lerp tensor", torch.lerp, normal, normal, unit, scale=2),
    pointwise("addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), normal, normal, normal, scale=2),
    pointwise("addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), normal, normal, positive, scale=4),
    pointwise("masked_fill", lambda x, m: x.masked_fill(m, 2.5), normal, flags),
    pointwise("masked_fill inf", lambda x, m: x.masked_fill(m, float("-inf")), normal, flags),
    pointwise("fma", lambda x, y, z: x * y + z, normal, normal, normal, scale=2),
    pointwise("mse_loss none", lambda x, y: F.mse_loss(x, y, reduction="none"), normal, normal, scale=4),
    pointwise("l1_loss none", lambda x, y: F.l1_loss(x, y, reduction="none"), normal, normal, scale=2),
    pointwise("smooth_l1 none", lambda x, y: F.smooth_l1_loss(x, y, reduction="none"), normal, normal, scale=4),
    pointwise("huber none", lambda x, y: F.huber_loss(x, y, reduction="none", delta=0.5), normal, normal, scale=4),
    pointwise(
        "bce none", lambda x, y: F.binary_cross_entropy(x, y, reduction="none"), unit, unit, dtypes=(f32,), scale=2
    ),
    pointwise(
        "bce logits none",
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
        normal,
        unit,
        dtypes=(f32,),
    ),
    pointwise("kl_div none", lambda x, y: F.kl_div(x, y, reduction="none"), normal, unit, dtypes=(f32,), scale=2),
    pointwise(
        "softmargin none",
        lambda x, y: F.soft_margin_loss(x, torch.sign(y), reduction="none"),
        normal,
        normal,
        dtypes=(f32,),
    ),
    pointwise("swiglu", lambda x, y: F.silu(x) * y, normal, normal, scale=4),
]

CASTS = [
    pointwise("to f32", lambda x: x.to(f32), dtypes=(f16, bf16, i32, i64, u8, i8, b8)),
    pointwise("to f16", lambda x: x.half(), dtypes=(f32, bf16, i32)),
    pointwise("to bf16", lambda x: x.bfloat16(), dtypes=(f32, f16, i32)),
    pointwise("to i32", lambda x: (x * 7).to(i32), dtypes=(f32, f16)),
    pointwise("to i64", lambda x: (x * 7).long(), dtypes=(f32, i32)),
    pointwise("to i8", lambda x: (x * 7).to(i8), dtypes=(f32, i32)),
    pointwise("to u8", lambda x: (x * 50).to(u8), positive, dtypes=(f32, i32)),
    pointwise("to bool", lambda x: x.bool(), dtypes=(f32, i32)),
    pointwise("to f8e4m3", lambda x: x.to(torch.float8_e4m3fn).to(f32), dtypes=(f32,)),
    pointwise("to f8e5m2", lambda x: x.to(torch.float8_e5m2).to(f32), dtypes=(f32,)),
    pointwise("type_as", lambda x, y: x.type_as(y.half()), normal, normal, dtypes=(f32,)),
    rows("view dtype", lambda x: x.to(f32).view(i32), dtypes=(f16, bf16)),
    rows("view float", lambda x: (x + 1078530011).view(f32), dtypes=(i32,)),
    rows("view half", lambda x: x.half().view(torch.int16), dtypes=(i32,)),
]

REDUCTIONS = [
    rows("sum", lambda x: x.sum(1), dtypes=(*FLOATS, *INTS, b8), scale=4),
    rows("sum keepdim", lambda x: x - x.sum(-1, keepdim=True), scale=8),
    rows("sum dtype", lambda x: x.sum(1, dtype=torch.float32), dtypes=HALVES),
    rows("nansum", lambda x: torch.nansum(x, 1), nans, dtypes=(f32,), scale=4),
    rows("mean", lambda x: x.mean(1), scale=2),
    rows("mean keepdim", lambda x: x - x.mean(1, keepdim=True), scale=4),
    rows("nanmean", lambda x: torch.nanmean(x, 1), nans, dtypes=(f32,), scale=4),
    rows("prod", lambda x: x.prod(1), unit, dtypes=(f32,), scale=8, columns=11),
    rows("prod int", lambda x: x.prod(1), normal, dtypes=INTS, columns=5),
    rows("amax", lambda x: x.amax(1), dtypes=(*FLOATS, *INTS)),
    rows("amin", lambda x: x.amin(1), dtypes=(*FLOATS, *INTS)),
    rows("amax nan", lambda x: x.amax(1), nans),
    rows("amin nan", lambda x: x.amin(1), nans),
    rows("amax keepdim", lambda x: x - x.amax(1, True)),
    rows("aminmax", lambda x: torch.aminmax(x, dim=1), dtypes=(f32,)),
    rows("max dim", lambda x: x.max(1), distinct, dtypes=(*FLOATS, i32)),
    rows("min dim", lambda x: x.min(1), distinct, dtypes=(*FLOATS, i64)),
    rows("max dim keepdim", lambda x: x.max(1, keepdim=True), distinct, dtypes=(f32,)),
    rows("max dim ties", lambda x: x.max(1), dtypes=(i32,)),
    rows("max dim nan", lambda x: x.max(1), nans, dtypes=(f32,)),
    rows("argmax", lambda x: x.argmax(1), distinct, dtypes=(*FLOATS, i32)),
    rows("argmin", lambda x: x.argmin(1), distinct, dtypes=(*FLOATS, i64)),
    rows("argmax nan", lambda x: x.argmax(1), nans, dtypes=(f32,)),
    rows("argmin keepdim", lambda x: x.argmin(1, keepdim=True), distinct, dtypes=(f32,)),
    rows("any", lambda x: (x > 1.5).any(1), dtypes=(f32,)),
    rows("all", lambda x: (x > -1.5).all(1), dtypes=(f32,)),
    rows("any float", lambda x: x.any(1), dtypes=(f32, i32, b8)),
    rows("all keepdim", lambda x: x.bool().all(1, keepdim=True), dtypes=(i32,)),
    rows("count_nonzero", lambda x: torch.count_nonzero(x, 1), dtypes=(i32,)),
    rows("var", lambda x: x.var(1), scale=4),
    rows("var biased", lambda x: x.var(1, unbiased=False), scale=4),
    rows("var correction", lambda x: torch.var(x, 1, correction=2, keepdim=True), dtypes=(f32,), scale=4),
    rows("std", lambda x: x.std(1), scale=4),
    rows("var_mean", lambda x: torch.var_mean(x, 1), dtypes=(f32,), scale=4),
    rows("std_mean", lambda x: torch.std_mean(x, 1), dtypes=(f32,), scale=4),
    rows("logsumexp", lambda x: torch.logsumexp(x, 1), scale=2),
    rows("softmax", lambda x: torch.softmax(x, 1), scale=2),
    rows("softmax dtype", lambda x: F.softmax(x, dim=-1, dtype=torch.float32), dtypes=HALVES),
    rows("log_softmax", lambda x: torch.log_softmax(x, 1), scale=2),
    rows("softmin", lambda x: F.softmin(x, dim=1), scale=2),
    rows("norm", lambda x: torch.norm(x, dim=1), dtypes=(f32,), scale=2),
    rows("norm 1", lambda x: torch.norm(x, p=1, dim=1), dtypes=(f32,), scale=4),
    rows("norm inf", lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1), dtypes=(f32,)),
    rows("norm 3", lambda x: torch.linalg.vector_norm(x, 3, dim=1), dtypes=(f32,), scale=4),
    rows("normalize", lambda x: F.normalize(x, dim=1), dtypes=(f32,), scale=2),
    rows("layer_norm", lambda x: F.layer_norm(x, [23]), scale=8),
    rows("rms_norm", lambda x: F.rms_norm(x, [23], eps=1e-5), scale=8),
    rows("group_norm 1", lambda x: F.layer_norm(x.reshape(-1, 4, 8), [8]), dtypes=(f32,), columns=32, scale=8),
    rows("cosine_similarity", lambda x, y: F.cosine_similarity(x, y, dim=1), normal, normal, dtypes=(f32,), scale=4),
    rows("sum dims", lambda x: x.sum((1, 2)), block(5, 7), dtypes=(f32, i32), scale=8),
    rows("mean dims", lambda x: x.mean((1, 2), keepdim=True), block(5, 7), dtypes=(f32,), scale=8),
    rows("var dims", lambda x: x.var((1, 2)), block(5, 7), dtypes=(f32,), scale=8),
    rows("amax dims", lambda x: x.amax((1, 2)), block(5, 7), dtypes=(f32,)),
    rows("any dims", lambda x: (x > 2).any(2).any(1), block(5, 7), dtypes=(f32,)),
    rows("logsumexp dims", lambda x: torch.logsumexp(x, (1, 2)), block(5, 7), dtypes=(f32,), scale=4),
    rows("sum middle", lambda x: x.sum(1), block(5, 7), dtypes=(f32,), scale=4),
    rows("softmax middle", lambda x: x.softmax(1), block(5, 7), dtypes=(f32,), scale=2),
    rows("dist", lambda x, y: torch.linalg.vector_norm(x - y, dim=1), normal, normal, dtypes=(f32,), scale=2),
    rows("pairwise_distance", lambda x, y: F.pairwise_distance(x, y), normal, normal, dtypes=(f32,), scale=2),
    rows("mean of product", lambda x, y: (x * y).mean(-1), normal, normal, dtypes=(f32,), scale=2),
    rows("cross entropy", lambda x: -torch.log_softmax(x, 1)[:, 3], dtypes=(f32,), scale=4),
]

SCANS = [
    rows("cumsum", lambda x: x.cumsum(1), dtypes=(*FLOATS, *INTS), scale=8),
    rows("cumprod", lambda x: x.cumprod(1), positive, dtypes=(f32, i64), columns=7, scale=8),
    rows("cummax", lambda x: torch.cummax(x, 1), dtypes=(f32, i32)),
    rows("cummin", lambda x: torch.cummin(x, 1), dtypes=(f32, i32)),
    rows("cummax nan", lambda x: torch.cummax(x, 1)[0], nans, dtypes=(f32,)),
    rows("logcumsumexp", lambda x: torch.logcumsumexp(x, 1), dtypes=(f32,), scale=8),
    rows("cumsum middle", lambda x: x.cumsum(1), block(5, 7), dtypes=(f32,), scale=4),
    rows("diff", lambda x: torch.diff(x, dim=1), dtypes=(f32,)),
    rows("cumulative trapezoid", lambda x: torch.cumsum((x[:, 1:] + x[:, :-1]) / 2, 1), dtypes=(f32,), scale=8),
]

ORDER = [
    rows("sort", lambda x: torch.sort(x, 1), distinct, dtypes=(*FLOATS, i32)),
    rows("sort descending", lambda x: torch.sort(x, 1, descending=True), distinct, dtypes=(*FLOATS, i32)),
    rows("sort stable", lambda x: torch.sort(x, dim=1, stable=True), dtypes=(i32, u8)),
    rows("sort stable descending", lambda x: torch.sort(x, dim=1, stable=True, descending=True), dtypes=(i32,)),
    rows("sort nan", lambda x: torch.sort(x, 1)[0], special, dtypes=(f32,)),
    rows("argsort", lambda x: torch.argsort(x, 1), distinct, dtypes=(f32,)),
    rows("msort", lambda x: torch.sort(x.transpose(1, 2), -1)[0], block(5, 7), dtypes=(f32,)),
    rows("topk", lambda x: torch.topk(x, 5, 1), distinct, dtypes=(*FLOATS, i32)),
    rows("topk smallest", lambda x: torch.topk(x, 4, 1, largest=False), distinct, dtypes=(f32,)),
    rows("kthvalue", lambda x: torch.kthvalue(x, 3, 1), distinct, dtypes=(f32,)),
    rows("median", lambda x: torch.median(x, 1), distinct, dtypes=(f32, i32)),
]

MOVEMENT = [
    rows("gather", lambda x, i: torch.gather(x, 1, i), normal, index(23, 23), dtypes=(*FLOATS, i32, b8)),
    rows("gather narrow", lambda x, i: torch.gather(x, 1, i), normal, index(23, 9), dtypes=(f32,)),
    rows("take_along_dim", lambda x, i: torch.take_along_dim(x, i, 1), normal, index(23, 5), dtypes=(f32,)),
    rows("cat", lambda x, y: torch.cat([x, y], 1), normal, normal, dtypes=(*FLOATS, i32)),
    rows("cat halves", lambda x, y: torch.cat([x, y], 1), normal, normal, dtypes=(f32, b8), columns=16),
    rows("cat three", lambda x, y: torch.cat([x, y[:, :4], x * 2], 1), normal, normal, dtypes=(f32,)),
    rows("cat promote", lambda x: torch.cat([x, x.to(i32)], 1), dtypes=(f32,)),
    rows("hstack", lambda x, y: torch.hstack([x, y]), normal, normal, dtypes=(f32,)),
    rows("stack last", lambda x, y: torch.stack([x, y], -1), normal, normal, dtypes=(f32, f16)),
    rows("stack middle", lambda x, y: torch.stack([x, y], 1), normal, normal, dtypes=(f32,)),
    rows("stack three", lambda x, y: torch.stack([x, y, x + y], 2), normal, normal, dtypes=(f32,)),
    rows("split", lambda x: tuple(torch.split(x, 9, 1)), dtypes=(f32,)),
    rows("split sizes", lambda x: tuple(torch.split(x, [3, 8, 12], 1)), dtypes=(f32, i32)),
    rows("chunk halves", lambda x: tuple(torch.chunk(x, 2, 1)), dtypes=(f32, bf16, b8), columns=32),
    rows("chunk", lambda x: tuple(torch.chunk(x, 3, 1)), dtypes=(f32,)),
    rows("tensor_split", lambda x: tuple(torch.tensor_split(x, 3, 1)), dtypes=(f32,)),
    rows("unbind", lambda x: tuple(torch.unbind(x, 1)), block(3, 7), dtypes=(f32,)),
    rows("unbind pairs", lambda x: tuple(torch.unbind(x.reshape(-1, 8, 2), -1)), columns=16),
    rows("unbind pairs odd", lambda x: tuple(torch.unbind(x, -1)), block(5, 2), dtypes=(f32,)),
    rows("select", lambda x: x[:, 5], dtypes=(*FLOATS, i32, b8)),
    rows("select negative", lambda x: x[:, -2], dtypes=(f32,)),
    rows("select inf", lambda x: x[:, 7], special, dtypes=(f32,)),
    rows("slice", lambda x: x[:, 3:17], dtypes=(f32, i32)),
    rows("slice step", lambda x: x[:, 1::3], dtypes=(f32,)),
    rows("slice even odd", lambda x: x[:, ::2] * x[:, 1::2], dtypes=FLOATS, columns=32),
    rows("slice half", lambda x: x[:, 16:] - x[:, :16], dtypes=(f32,), columns=32),
    rows("slice negative", lambda x: x[:, -6:-1], dtypes=(f32,)),
    rows("narrow", lambda x: torch.narrow(x, 1, 4, 7), dtypes=(f32,)),
    rows("flip", lambda x: torch.flip(x, [1]), dtypes=(*FLOATS, i32)),
    rows("flip two", lambda x: torch.flip(x, [1, 2]), block(5, 7), dtypes=(f32,)),
    rows("fliplr", torch.fliplr, dtypes=(f32,)),
    rows("roll", lambda x: torch.roll(x, 5, 1), dtypes=(*FLOATS, i32)),
    rows("roll two", lambda x: torch.roll(x, (2, -3), (1, 2)), block(5, 7), dtypes=(f32,)),
    rows("pad", lambda x: F.pad(x, (2, 3), value=1.5), dtypes=(f32,)),
    rows("pad negative", lambda x: F.pad(x, (-2, 3)), dtypes=(f32,)),
    rows("pad two", lambda x: F.pad(x, (1, 2, 0, 3)), block(5, 7), dtypes=(f32,)),
    rows("repeat", lambda x: x.repeat(1, 3), dtypes=(f32,)),
    rows("tile", lambda x: torch.tile(x, (1, 2)), dtypes=(f32,)),
    rows("repeat_interleave", lambda x: torch.repeat_interleave(x, 2, 1), dtypes=(f32,)),
    rows("tril", lambda x: torch.tril(x), block(5, 7), dtypes=(f32, i32)),
    rows("triu", lambda x: torch.triu(x, 1), block(7, 5), dtypes=(f32,)),
    rows("rotate half", lambda x: torch.cat([-x[:, 16:], x[:, :16]], 1), columns=32),
    rows("one_hot", lambda i: F.one_hot(i, 11), index(11, 6), dtypes=(f32,)),
    rows("isin", lambda x: torch.isin(x, 3), dtypes=(i32,)),
    rows("index value", lambda x: x[:, torch.arange(4, dtype=torch.int64) * 3], dtypes=(f32,)),
    rows("shuffle", lambda x: x.reshape(-1, 4, 8).transpose(1, 2).reshape(-1, 32), dtypes=(f32,), columns=32),
]

VIEWS = [
    rows("reshape split", lambda x: x.reshape(-1, 3, 8) * 2, columns=24, dtypes=(f32,)),
    rows("view split", lambda x: x.view(-1, 5, 4).sum(1), columns=20, dtypes=(f32,), scale=4),
    rows("unflatten", lambda x: x.unflatten(1, (6, 4)), columns=24, dtypes=(f32,)),
    rows("flatten", lambda x: x.flatten(1), block(5, 8), dtypes=(f32,)),
    rows("transpose", lambda x: x.transpose(1, 2), block(5, 7), dtypes=(f32, f16)),
    rows("mT", lambda x: x.mT + 1, block(5, 7), dtypes=(f32,)),
    rows("permute", lambda x: x.permute(0, 3, 1, 2), block(2, 3, 5), dtypes=(f32,)),
    rows("movedim", lambda x: x.movedim(1, 3), block(2, 3, 5), dtypes=(f32,)),
    rows("swapaxes", lambda x: x.swapaxes(1, 2), block(5, 7), dtypes=(f32,)),
    rows("unsqueeze", lambda x: x.unsqueeze(1) * 2, dtypes=(f32,)),
    rows("squeeze", lambda x: x.squeeze(1), block(1, 7), dtypes=(f32,)),
    rows("expand", lambda x: x[:, None, :].expand(-1, 3, -1), dtypes=(f32,)),
    rows("broadcast_to", lambda x: torch.broadcast_to(x[:, :, None], (*x.shape, 4)), dtypes=(f32,)),
    rows("None index", lambda x: x[:, None, :] + x[:, :, None], columns=5, dtypes=(f32,)),
    rows("ellipsis", lambda x: x[..., None] * 2, dtypes=(f32,)),
    rows("contiguous", lambda x: x.contiguous(), dtypes=(f32,)),
]

PRODUCTS = [
    rows("outer", lambda x: x[:, :, None] * x[:, None, :], columns=9, dtypes=(f32,)),
    rows("bmm", lambda x, y: torch.bmm(x, y), block(16, 16), block(16, 32), scale=16),
    rows("matmul", lambda x, y: x @ y, block(16, 20), block(20, 16), dtypes=(f32,), scale=16),
    rows(
        "baddbmm",
        lambda c, x, y: torch.baddbmm(c, x, y, alpha=0.5),
        block(16, 16),
        block(16, 16),
        block(16, 16),
        dtypes=(f32,),
        scale=16,
    ),
    rows(
        "einsum bij,bjk",
        lambda x, y: torch.einsum("bij,bjk->bik", x, y),
        block(16, 16),
        block(16, 16),
        dtypes=(f32,),
        scale=16,
    ),
    rows("einsum bi,bi", lambda x, y: torch.einsum("bi,bi->b", x, y), normal, normal, dtypes=(f32,), scale=16),
    rows(
        "einsum bi,bj", lambda x, y: torch.einsum("bi,bj->bij", x, y), normal, normal, dtypes=(f32,), columns=9, scale=4
    ),
    rows("linear vecdot", lambda x, y: torch.linalg.vecdot(x, y), normal, normal, dtypes=(f32,), scale=16),
    rows(
        "matmul transposed", lambda x, y: x @ y.transpose(1, 2), block(16, 16), block(32, 16), dtypes=(f32,), scale=16
    ),
    rows(
        "matvec",
        lambda x, y: torch.matmul(x, y[:, :, None]).squeeze(-1),
        block(16, 16),
        block(16),
        dtypes=(f32,),
        scale=16,
    ),
]

CREATION = [
    rows("zeros_like", lambda x: x + torch.zeros_like(x), dtypes=(f32, i32)),
    rows("ones_like", lambda x: torch.ones_like(x) * 3, dtypes=(f32, i32)),
    rows("full_like", lambda x: torch.full_like(x, 2.5), dtypes=(f32,)),
    rows("empty_like", lambda x: torch.empty_like(x).fill_(3.0) + x, dtypes=(f32,)),
    rows("new_zeros", lambda x: x.new_zeros(x.shape) + x, dtypes=(f32, f16)),
    rows("new_ones", lambda x: x * x.new_ones([23]), dtypes=(f32,)),
    rows("new_full", lambda x: x + x.new_full([1, 23], 4.0), dtypes=(f32,)),
    rows("zeros", lambda x: torch.zeros(x.shape) + x, dtypes=(f32,)),
    rows("ones", lambda x: torch.ones(x.shape[1]) * x, dtypes=(f32,)),
    rows("full", lambda x: torch.full([23], 1.5) + x, dtypes=(f32,)),
    rows("arange", lambda x: torch.arange(23) * x, dtypes=(f32, i64)),
    rows("arange step", lambda x: torch.arange(1, 46, 2) + x, dtypes=(f32, i32)),
    rows("arange float", lambda x: torch.arange(0.0, 11.5, 0.5) * x, dtypes=(f32,)),
    rows("linspace", lambda x: torch.linspace(-1, 1, 23) * x, dtypes=(f32,), scale=2),
    rows("eye", lambda x: x[:, None, :] * torch.eye(23)[None], dtypes=(f32,)),
    rows("scalar tensor", lambda x: x * torch.tensor(2.5), dtypes=(f32, f16)),
    rows("fill_", lambda x: (x * 1).fill_(2.0), dtypes=(f32,)),
    rows("in place", lambda x: (x * 1).add_(1).mul_(2).sub_(x), dtypes=(f32, f16)),
    rows("relu_", lambda x: (x * 1).relu_(), dtypes=(f32,)),
]

TABLE = [
    record
    for group in (
        UNARY, ACTIVATIONS, BINARY, TERNARY, CASTS, REDUCTIONS, SCANS, ORDER, MOVEMENT, VIEWS, PRODUCTS, CREATION,
    )
    for record in group
    if record.dtypes
]  # fmt: skip
