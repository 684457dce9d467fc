"""All operations by name, and the cases that a request names."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal

from helion_autotune.registry import Registry

from ..errors import InvalidRequest
from ..plugins import make, usable
from ..results.model import CaseKey
from .operation import Operation, Pass, Shape

REGISTRY: Registry[type[Operation]] = Registry("helion_bench.cases")
"""Operations of installed packages, and those that a program registers itself."""

Extent = Literal["cpu", "cpu-quick", "quick", "full"]
"""Which shapes: those for Triton's interpreter or the first of them, the few of a quick run on a GPU, or all for it."""


@functools.lru_cache(maxsize=256)
def operation(name: str) -> Operation:
    """The operation of that name. Raises `InvalidRequest` naming those there are, `UnusablePlugin`."""
    if name not in REGISTRY.names():
        raise InvalidRequest(f"there is no operation {name!r}", known=REGISTRY.names())
    return make(REGISTRY, name, Operation)  # type: ignore[type-abstract]


def operations() -> list[Operation]:
    """Every operation that can be used."""
    return list(usable(REGISTRY.names(), operation))


def cases(
    operations: Sequence[str] = (), *, shapes: Sequence[str] = (), dtypes: Sequence[str] = (),
    passes: Sequence[Pass] = (), extent: Extent = "full", elsewhere: bool = False,
) -> list[CaseKey]:  # fmt: skip
    """The cases of a request; nothing given means all operations, their own shapes and passes, and their first dtype.

    `operations` and `shapes` are names or patterns (`*norm`, `8192x*`, of the shapes that a run of this extent may
    have); operations come in the order of these. A shape may also be new, `rows=8192,cols=100`, with all sizes of the
    operation. The pass `bwd` means `fwd+bwd` where an operation has that in its place. What an operation does not have
    is passed over where another one has it, or where there are cases `elsewhere`, which may have it. Raises
    `InvalidRequest` where no operation has it.
    """
    named = _matching(operations, REGISTRY.names(), "operation")
    chosen = list(usable(named, operation, wanted=operations))
    unknown = [d for d in dtypes if not any(d in one.dtypes for one in chosen)]
    unknown += [s for s in shapes if not any(list(_shapes(one, [s], extent)) for one in chosen)]
    found: list[CaseKey] = []
    for one in chosen:
        for shape in _shapes(one, shapes, extent):
            for dtype in [d for d in dtypes if d in one.dtypes] if dtypes else one.dtypes[:1]:
                found += [_key(one, shape, dtype, p) for p in one.passes if not passes or _named(p, passes)]
    if (unknown or not found) and not elsewhere:
        problem = f"{', '.join(unknown)}" if unknown else _all(shapes, dtypes, passes)
        raise InvalidRequest(f"none of {', '.join(named)} has a case with {problem}", known=_offered(chosen, extent))
    return list(dict.fromkeys(found))  # a shape may be named twice, by its label and by its sizes


def _offered(chosen: Sequence[Operation], extent: Extent) -> list[str]:
    shapes = dict.fromkeys(s.label for one in chosen for s in _shapes(one, (), extent))
    return [
        "shapes " + " ".join(shapes),
        "new shapes "
        + " ".join(dict.fromkeys(",".join(f"{name}=…" for name in one.shapes[0].sizes) for one in chosen)),
        "dtypes " + " ".join(dict.fromkeys(dtype for one in chosen for dtype in one.dtypes)),
        "passes " + " ".join(dict.fromkeys(pass_ for one in chosen for pass_ in one.passes)),
    ]


def _all(shapes: Sequence[str], dtypes: Sequence[str], passes: Sequence[Pass]) -> str:
    return f"shape {_shown(shapes)}, dtype {_shown(dtypes)} and pass {_shown(passes)}"


def by_need(keys: Sequence[CaseKey]) -> list[CaseKey]:
    """The same cases in the order of what a run that is cut short should have measured.

    The first dtype of every operation comes before its others. Of a dtype, shapes of a quick run come first, then
    the next shape of every operation in turn, so that none is left with those alone while another has all.
    """
    return sorted(keys, key=_need)


def _need(key: CaseKey) -> tuple[int, bool, int]:
    one = operation(key.op)
    labels = [shape.label for shape in one.shapes]
    place = labels.index(key.shape) if key.shape in labels else len(labels)
    quick = place < len(labels) and one.shapes[place].quick
    return one.dtypes.index(key.dtype), not quick, 0 if quick else place


def _named(pass_: Pass, passes: Sequence[Pass]) -> bool:
    return pass_ in passes or (pass_ == "fwd+bwd" and "bwd" in passes)


def _key(one: Operation, shape: Shape, dtype: str, pass_: Pass) -> CaseKey:
    return CaseKey(one.name, shape.label, tuple(shape.sizes.items()), dtype, pass_)


def _shapes(one: Operation, patterns: Sequence[str], extent: Extent) -> Iterator[Shape]:
    kind = [s for s in one.shapes if s.cpu == extent.startswith("cpu")]
    wanted = {"cpu": kind, "full": kind, "cpu-quick": kind[:1], "quick": [s for s in kind if s.quick]}[extent]
    named = [p for p in patterns if "=" not in p]
    for shape in one.shapes:
        like = shape in kind and any(fnmatchcase(shape.label, p) for p in named)
        if shape.label in named or like or (not patterns and shape in wanted):
            yield shape
    for pattern in patterns:
        if "=" in pattern and (shape := _parsed(one, pattern)) is not None:
            yield shape


def _parsed(one: Operation, text: str) -> Shape | None:
    """A shape written as `name=number,…`; None where the operation has other sizes. Raises `InvalidRequest`."""
    pairs = [part.partition("=") for part in text.split(",")]
    sizes = {name.strip(): int(number) for name, _, number in pairs if number.strip().isdecimal()}
    if len(sizes) < len(pairs):
        raise InvalidRequest(f"the shape {text!r} is not of the form rows=8192,cols=4096")
    order = list(one.shapes[0].sizes)
    if set(order) != set(sizes):
        return None
    flags = {name for shape in one.shapes for name, size in shape.sizes.items() if size == 0}
    if empty := [name for name in order if sizes[name] == 0 and name not in flags]:
        raise InvalidRequest(f"the shape {text!r} is empty: {', '.join(empty)} must be above 0")
    return Shape({name: sizes[name] for name in order})


def _matching(patterns: Sequence[str], known: Sequence[str], what: str) -> list[str]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise InvalidRequest(f"there is no {what} {pattern!r}", known=known)
    return list(dict.fromkeys(name for p in patterns or ["*"] for name in known if fnmatchcase(name, p)))


def _shown(values: Sequence[str]) -> str:
    return " or ".join(values) or "any"
