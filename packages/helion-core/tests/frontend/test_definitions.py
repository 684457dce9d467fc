"""The definitions that a function's text needs in a file of its own."""

import ast
import functools
import math
import os.path
from pathlib import Path

import pytest
import torch

from helion.frontend.definitions import Definitions, free_names, literal

SIZE = 4
DTYPE = torch.float16
TABLE = {"a": [1, 2.5], "b": (None,)}
TENSOR = torch.zeros(2)


def inner(n: Path) -> int:
    return n * SIZE


@functools.cache
def outer(n, dtype=DTYPE):
    return math.floor(inner(n)) + len(TABLE["a"]) + os.path.sep.count("/")


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


def run(text, name):
    namespace = {"torch": torch}
    exec("from __future__ import annotations\nimport torch\n" + text, namespace)
    return namespace[name]


def defined(*functions, banned=()):
    found = Definitions(banned)
    for function in functions:
        found.add(function.__name__, function)
    return found


def test_a_function_comes_with_all_that_it_reads():
    found = defined(outer.__wrapped__)
    assert not found.missing
    assert run(found.text(), "outer")(10) == outer(10) == 43
    assert "import os" in found.text() and "DTYPE = torch.float16" in found.text()


def test_functions_of_installed_modules_are_imported():
    found = defined(functools.reduce, torch.nn.functional.relu)
    assert "from functools import reduce as reduce" in found.text() or "from _functools import reduce" in found.text()
    assert not found.missing


def test_recursion():
    assert run(defined(recursive).text(), "recursive")(5) == 120


def test_closures():
    width = 7

    def widened(n):
        return n + width

    assert run(defined(widened).text(), "widened")(1) == 8


def test_what_has_no_text_is_told():
    def reads(n):
        return TENSOR[n] + unknown + helper(n)  # noqa: F821

    found = defined(reads)
    assert "a Tensor, which has no text" in found.missing["TENSOR"]
    assert found.missing["unknown"] == found.missing["helper"] == "it has no value where the kernel is defined"


def test_banned_modules_are_told():
    import helion.language as hl

    def reads():
        return hl

    assert "helion.language, which is not to be imported" in defined(reads, banned=["helion"]).missing["hl"]
    assert not defined(reads).missing and "from helion import language as hl" in defined(reads).text()


def test_modules_that_are_not_installed_are_told(tmp_path, monkeypatch):
    (tmp_path / "my_helpers.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_helpers

    def reads():
        return my_helpers.f()

    assert "my_helpers, which is not installed" in defined(reads).missing["my_helpers"]
    by_name = my_helpers.f
    found = defined(by_name)
    assert not found.missing and run(found.text(), "f")() == 1


def test_two_meanings_of_a_name_are_told():
    found = Definitions()
    found.add("n", 1)
    found.add("n", 1)
    assert not found.missing
    found.add("n", 2)
    assert found.missing == {"n": "two functions mean different things by it"}


def test_a_lambda_becomes_a_definition():
    found = Definitions()
    found.add("f", lambda x: x + SIZE)
    assert run(found.text(), "f")(1) == 5


def test_one_of_several_lambdas():
    found = Definitions()
    found.add("f", (lambda x: x + 1, lambda y: y + 2, lambda x: x + 3)[2])
    assert run(found.text(), "f")(1) == 4


def test_lambdas_that_cannot_be_told_apart():
    found = Definitions()
    found.add("f", (lambda x: x, lambda x: -x)[0])
    assert "its source cannot be read" in found.missing["f"]


@pytest.mark.parametrize(
    "value", [None, True, 3, -2.5, float("inf"), "a'b", torch.bfloat16, [1, (2,), {"k": ()}], torch.device("cuda", 1)]
)
def test_literals(value):
    assert eval(literal(value), {"torch": torch}) == value


@pytest.mark.parametrize("value", [TENSOR, Path("x"), [TENSOR], {(1, 2): 3}, {"k": object()}, object])
def test_what_is_no_literal(value):
    assert literal(value) is None


def test_free_names():
    (node,) = ast.parse("def f(a: A, b=B):\n    c = [d for d in a]\n    return c, e, g.h, f\n").body
    assert free_names(node) == {"B", "e", "g"}
