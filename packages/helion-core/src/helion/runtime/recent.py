"""Recognising a call like the one before it, without building its key: an inline cache.

A matcher answers whether arguments would get the same key as the example it was made from. It may say no where they
would, never yes where they would not: tensors are compared by torch's own guards, in one call into C++.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from ..integration.dispatch import looked_on

Matcher = Callable[..., bool]
Chooser = Callable[[Sequence[Any]], tuple[Callable[..., Any], bool]]
_PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter)
_SINGLETONS = (bool, type(None), torch.dtype)
_CONSTANTS = (int, float, str, torch.device)


def never(*_: Any) -> bool:
    """The matcher of a signature that is always looked up by its key."""
    return False


class Signature:
    """What calls with one key run: `choose` says it for their arguments, and whether for all calls just like them.

    `alone`: it is the same for all calls with the key.
    """

    __slots__ = ("_misses", "alone", "choose", "matches", "run")

    def __init__(self, choose: Chooser, alone: bool) -> None:
        self.choose, self.alone = choose, alone
        self.matches: Matcher = never
        self.run: Callable[..., Any] | None = None  # what calls run that match
        self._misses = 0

    def missed(self) -> bool:
        """Whether a matcher should be made for arguments that the present one does not know: ever more rarely."""
        self._misses += 1
        return self._misses & (self._misses - 1) == 0


def matcher(
    args: Sequence[Any], key: Sequence[Hashable], nested: Callable[[Any], Hashable],
    others: Sequence[Callable[..., Hashable]],
) -> Matcher:  # fmt: skip
    """A matcher for calls like `args`, whose `key` has a part for each of them, then what `others` give for all.

    `nested` gives the part of anything but tensors and numbers.
    """
    guards = tensor_guards()
    tensors = list({id(a): a for a in args if isinstance(a, torch.Tensor)}.values())  # torch's guards refuse repetition
    if guards is None or not all(type(t) in _PLAIN_TENSORS and t.layout is torch.strided for t in tensors):
        return never
    own, rest = key[: len(args)], key[len(args) :]
    kinds = tuple(map(_kind, args, own))
    values = [a if kind == "is" else part for kind, a, part in zip(kinds, args, own, strict=True)]
    values = [None if kind == "tensor" else value for kind, value in zip(kinds, values, strict=True)]
    places = [[k for k, a in enumerate(args) if a is tensor] for tensor in tensors]
    repeated = tuple((k, first) for first, *more in places for k in more)
    check = guards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check if tensors else None
    make = _factory(kinds, repeated, len(others))
    return make(check, nested, values, others, rest)  # type: ignore[no-any-return]


def _kind(value: Any, part: Any) -> str:
    """How an argument is compared."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    if part is int or part is float:
        return "type"
    if isinstance(value, _SINGLETONS):
        return "is"
    return "nested" if isinstance(value, _CONSTANTS) else "holder"


_TESTS = {"type": "type(a{k}) is v{k}", "is": "a{k} is v{k}", "nested": "nested(a{k}) == v{k}"}
# the guards do not see tensors inside of others, so that torch may look at them without their knowing
_TESTS["holder"] = _TESTS["nested"] + " and not looked_on([a{k}])"


@functools.cache
def _factory(kinds: tuple[str, ...], repeated: tuple[tuple[int, int], ...], others: int) -> Callable[..., Matcher]:
    """Makes matchers of one form from `check` of the tensors, `nested`, and what the parts must be.

    `repeated`: positions of tensors that stand at an earlier position, too, each with the first such.
    """
    arguments = [f"a{k}" for k in range(len(kinds))]
    tests = [_TESTS[kind].format(k=k) for k, kind in enumerate(kinds) if kind in ("type", "is")]
    tests += [f"a{k} is a{first}" for k, first in repeated]
    later = dict(repeated)
    tensors = [arguments[k] for k, kind in enumerate(kinds) if kind == "tensor" and k not in later]
    tests = [f"check({', '.join(tensors)})", *tests] if tensors else tests
    tests += [_TESTS[kind].format(k=k) for k, kind in enumerate(kinds) if kind in ("nested", "holder")]
    tests += [f"f{k}({', '.join(arguments)}) == r{k}" for k in range(others)]
    cells = [f"v{k} = values[{k}]" for k, kind in enumerate(kinds) if kind != "tensor"]
    cells += [f"f{k} = others[{k}]; r{k} = rest[{k}]" for k in range(others)]
    lines = ["def make(check, nested, values, others, rest):", *(f"    {cell}" for cell in cells)]
    lines += [f"    def matches({', '.join(arguments)}):", f"        return {' and '.join(tests) or 'True'}"]
    space: dict[str, Any] = {"looked_on": looked_on}
    exec("\n".join([*lines, "    return matches"]), space)
    return space["make"]  # type: ignore[no-any-return]


@functools.cache
def tensor_guards() -> Any:
    """torch's comparison of dtypes, devices, sizes and strides of tensors, or None where torch has none like it."""
    found = getattr(getattr(getattr(torch._C, "_dynamo", None), "guards", None), "TensorGuards", None)
    if found is None:
        return None
    x = torch.empty_strided((2, 3), (3, 1))
    try:
        check = found(x, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
        others = (x.t(), x[:1], x.double(), torch.empty_strided((2, 3), (1, 2)))
        works = check(x) is True and not any(check(other) for other in others)
    except (TypeError, RuntimeError):
        return None
    return found if works else None
