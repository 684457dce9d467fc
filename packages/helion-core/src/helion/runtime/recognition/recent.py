"""Recognising calls like earlier ones without building their keys: an inline cache.

A matcher answers whether arguments would get the same key as the example it was made from. It may say no where they
would, never yes where they would not: tensors are compared by torch's own guards, in one call into C++.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Sequence
from math import copysign
from typing import Any, Protocol

import torch

from ...integration.looking import looked_on


class Asking(Protocol):
    """A specialisation, as far as recognising calls of it goes."""

    @property
    def asked_numbers(self) -> frozenset[str]:
        """Parameters whose numbers decide what a call runs, besides types and sizes."""
        ...


Run = Callable[..., Any]
Matcher = Callable[..., bool]
Chooser = Callable[[Sequence[Any]], tuple[Run, Asking]]
_PLAIN_TENSORS = (torch.Tensor, torch.nn.Parameter)
_SINGLETONS = (bool, type(None), torch.dtype)
_CONSTANTS = (int, float, str, torch.device)
_MOST = 16  # calls that a kernel recognises, and that are known of one signature
_RARELY = 16  # calls recognised further back, of which the last one comes to the front
_PERIOD = 32  # calls looked up, in which a call must have been recognised to stay


def never(*_: Any) -> bool:
    """The matcher of calls that are always looked up by their key."""
    return False


class Call:
    """Calls that are alike: `matches` recognises them, `run` is what they run.

    `asked` are the parameters whose numbers `matches` compares by value. `settled`: `run` will not be replaced by a
    shorter one. `used`: one was recognised lately.
    """

    __slots__ = ("asked", "matches", "run", "settled", "used")

    def __init__(self, matches: Matcher, run: Run, asked: frozenset[str] = frozenset()) -> None:
        self.matches, self.run, self.asked = matches, run, asked
        self.settled = self.used = False


_NONE = Call(never, never)


class Signature:
    """What calls with one key run: `choose` says it for their arguments, and of which specialisation it is.

    It says it for all calls with tensors of the same layouts and the same numbers that the specialisation asks for.
    """

    __slots__ = ("_misses", "calls", "choose")

    def __init__(self, choose: Chooser) -> None:
        self.choose = choose
        self.calls: tuple[Call, ...] = ()
        self._misses = 0

    def find(self, args: Sequence[Any]) -> Call | None:
        """The known call that one with `args` is like."""
        for call in self.calls:
            if call.matches(*args):
                call.used = True
                return call
        return None

    def learns(self) -> bool:
        """Whether a call that is like none of `calls` shall become one: the first ones, then ever fewer."""
        self._misses += 1
        if self._misses > _MOST:
            if self._misses & (self._misses - 1):
                return False
            self.calls = tuple([call for call in self.calls if call.used])
        return len(self.calls) < _MOST


class Known:
    """What is known of a kernel's calls until something changes what they run.

    It is then replaced as a whole: what other threads are about to note in it is forgotten, too. `others` are the
    functions that give the further parts of keys.

    `calls` are asked in order. The order of calls that take turns makes no difference on average, so that they stay
    where they are, except that from time to time one comes to the front: of calls that repeat, soon the right one.
    Where there are more than fit, those that are used stay: to replace one by another would have all of them be looked
    up if they take turns.
    """

    __slots__ = ("_further", "_misses", "calls", "others", "signatures")

    def __init__(self, others: Sequence[Callable[..., Hashable]]) -> None:
        self.others = others
        self.signatures: dict[Hashable, Signature] = {}
        self.calls: tuple[Call, ...] = (_NONE,)
        self._further = self._misses = 0

    def find(self, args: Sequence[Any]) -> Call | None:
        """The call that one with `args` is like, which the first one does not match."""
        for call in self.calls[1:]:
            if call.matches(*args):
                call.used = True
                self._further += 1
                if self._further % _RARELY == 0:
                    self.to_front(call)
                return call
        return None

    def to_front(self, call: Call) -> None:
        """Has `call` be asked first."""
        self.calls = (call, *[c for c in self.calls if c is not call and c is not _NONE][: _MOST - 1])

    def missed(self) -> None:
        """A call was not recognised. From time to time calls make room that have not been met since the last time."""
        self._misses += 1
        if self._misses % _PERIOD == 0:
            first, *further = self.calls
            self.calls = (first, *[call for call in further if call.used])
            for call in further:
                call.used = False

    def learn(self, signature: Signature, call: Call) -> None:
        """Notes `call` as one that `signature` has."""
        signature.calls = (*signature.calls, call)
        self.remember(call)

    def remember(self, call: Call) -> None:
        """Recognises `call` from now on, if there is room."""
        if len(self.calls) < _MOST and call not in self.calls:
            call.used = True
            self.calls = (*self.calls, call)


def matcher(
    args: Sequence[Any], key: Sequence[Hashable], nested: Callable[[Any], Hashable],
    others: Sequence[Callable[..., Hashable]], asked: Collection[int] = (),
) -> Matcher:  # fmt: skip
    """A matcher for calls like `args`, whose `key` has a part for each of them, then what `others` give for all.

    `nested` tells apart anything but tensors and numbers; `asked` are the positions where numbers count by value.
    """
    guards = tensor_guards()
    tensors = list({id(a): a for a in args if isinstance(a, torch.Tensor)}.values())  # torch's guards refuse repetition
    if guards is None or not all(type(t) in _PLAIN_TENSORS and t.layout is torch.strided for t in tensors):
        return never
    own, rest = key[: len(args)], key[len(args) :]
    kinds = tuple([_kind(a, part, k in asked) for k, (a, part) in enumerate(zip(args, own, strict=True))])
    values = [_VALUES.get(kind, nested)(a) for kind, a in zip(kinds, args, strict=True)]
    places = [[k for k, a in enumerate(args) if a is tensor] for tensor in tensors]
    repeated = tuple((k, first) for first, *more in places for k in more)
    check = guards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check if tensors else None
    make = _factory(kinds, repeated, len(others))
    return make(check, nested, values, others, rest)  # type: ignore[no-any-return]


def _kind(value: Any, part: Any, is_asked: bool) -> str:
    """How an argument is compared."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    if part is int or part is float:
        return part.__name__ if is_asked else "type"
    if isinstance(value, _SINGLETONS):
        return "is"
    return "nested" if isinstance(value, _CONSTANTS) else "holder"


# what of an argument is kept, where it is not what `nested` gives
_VALUES: dict[str, Callable[[Any], Any]] = {"tensor": lambda _: None, "type": type}
_VALUES |= dict.fromkeys(("int", "float", "is"), lambda value: value)
_NUMBERS = {
    "int": "type(a{k}) is int and a{k} == v{k}",
    "float": "type(a{k}) is float and a{k} == v{k} and copysign(1, a{k}) == copysign(1, v{k})",  # -0.0 is not 0.0
}
_TESTS = {"type": "type(a{k}) is v{k}", "is": "a{k} is v{k}", "nested": "nested(a{k}) == v{k}"}
# the guards do not see tensors inside of others, so that torch may look at them without their knowing
_TESTS["holder"] = _TESTS["nested"] + " and not looked_on([a{k}])"


@functools.cache
def _factory(kinds: tuple[str, ...], repeated: tuple[tuple[int, int], ...], others: int) -> Callable[..., Matcher]:
    """Makes matchers of one form from `check` of the tensors, `nested`, and what the parts must be.

    `repeated`: positions of tensors that stand at an earlier position, too, each with the first such.
    """
    arguments = [f"a{k}" for k in range(len(kinds))]
    numbers = [_NUMBERS[kind].format(k=k) for k, kind in enumerate(kinds) if kind in _NUMBERS]
    tests = [_TESTS[kind].format(k=k) for k, kind in enumerate(kinds) if kind in ("type", "is")]
    tests += [f"a{k} is a{first}" for k, first in repeated]
    later = dict(repeated)
    tensors = [arguments[k] for k, kind in enumerate(kinds) if kind == "tensor" and k not in later]
    tests = [*numbers, *([f"check({', '.join(tensors)})"] if tensors else []), *tests]
    tests += [_TESTS[kind].format(k=k) for k, kind in enumerate(kinds) if kind in ("nested", "holder")]
    tests += [f"f{k}({', '.join(arguments)}) == r{k}" for k in range(others)]
    cells = [f"v{k} = values[{k}]" for k, kind in enumerate(kinds) if kind != "tensor"]
    cells += [f"f{k} = others[{k}]; r{k} = rest[{k}]" for k in range(others)]
    lines = ["def make(check, nested, values, others, rest):", *(f"    {cell}" for cell in cells)]
    lines += [f"    def matches({', '.join(arguments)}):", f"        return {' and '.join(tests) or 'True'}"]
    space: dict[str, Any] = {"looked_on": looked_on, "copysign": copysign}
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
