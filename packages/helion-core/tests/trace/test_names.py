"""The expression by which the wrapper reaches a tensor."""

import dataclasses
from collections import namedtuple

import torch

from helion.trace.names import HostNames

GLOBAL = torch.zeros(1)
TABLE = {"a": [torch.zeros(1), torch.zeros(1)], 3: torch.zeros(1), (1, 2): torch.zeros(1)}
Pair = namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass
class Record:
    tensor: torch.Tensor


class Thing:
    def __init__(self):
        self.inner = Record(torch.zeros(1))
        self.me = self


def helper(x):
    return x + GLOBAL


def sees(*values):
    """A function with each value as a free variable `a`, `b`, ..., and a reference to some globals."""
    a, b = (*values, None, None)[:2]

    def body():
        return a, b, GLOBAL, TABLE, helper

    return body


def check(expression, target, *values):
    body = sees(*values)
    found = HostNames(body, {}).find(target)
    assert found == expression
    space = dict(zip(body.__code__.co_freevars, (c.cell_contents for c in body.__closure__), strict=True))
    assert eval(found, body.__globals__, space) is target


def test_free_variables_and_globals():
    x = torch.zeros(1)
    check("a", x, x)
    check("GLOBAL", GLOBAL)


def test_carried_variables():
    x = torch.zeros(1)
    assert HostNames(sees(1), {"carried": [x]}).find(x) == "carried[0]"


def test_containers_and_attributes():
    thing, pair = Thing(), Pair(torch.zeros(1), [torch.zeros(1)])
    check("TABLE['a'][1]", TABLE["a"][1])
    check("TABLE[3]", TABLE[3])
    check("a.inner.tensor", thing.inner.tensor, thing)
    check("a.right[0]", pair.right[0], pair)


def test_closures_and_globals_of_functions():
    inner = torch.zeros(1)

    def function():
        return inner

    check("a.__closure__[0].cell_contents", inner, function)


def test_the_shortest_expression_wins():
    x = torch.zeros(1)
    check("b", x, [[x]], x)
    check("a.left", x, Pair(x, [x]))


def test_what_cannot_be_named():
    assert HostNames(sees(1), {}).find(torch.zeros(1)) is None
    assert HostNames(sees(1), {}).find(TABLE[1, 2]) is None  # a key whose text may not be the key


def test_equal_tensors_are_not_the_same():
    x, y = torch.zeros(1), torch.zeros(1)
    assert HostNames(sees([x], [y]), {}).find(y) == "b[0]"
