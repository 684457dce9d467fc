"""Host code evaluated for one set of sizes: what is left of it, and what is never evaluated."""

import ast
import textwrap
from typing import Any

import pytest
import torch

from helion.emit.straight import UNKNOWN, Allocation, Launch, NotStraight, Straight, straight_line

X = torch.randn(6, 4)
VALUES = {"x": X, "y": torch.randn(4), "n": UNKNOWN, "m": UNKNOWN, "flag": True, "name": "a", "none": None}
VALUES["pair"] = (-1, (3, 2.5))
CPU = torch.device("cpu")


def evaluated(text: str, device: torch.device = CPU, **space: Any) -> list[Any]:
    """Steps of a host function with this body, which launches `x` and one number."""
    steps = straight(text, device, **space).steps
    return [ast.unparse(ast.fix_missing_locations(s)) if isinstance(s, ast.stmt) else s for _, s in steps]


def straight(text: str, device: torch.device = CPU, **space: Any) -> Straight:
    host = ast.parse("def host(): pass\n" + textwrap.dedent(text)).body
    function = ast.FunctionDef("host", ast.arguments([], [], None, [], [], None, []), host[1:], [])
    return straight_line(function, 1, VALUES, {"torch": torch, **space}, device)


def number(text: str, **space: Any) -> str:
    [step] = evaluated(f"_launch(_kernel, (1,), x, {text})", **space)
    assert isinstance(step, Launch)
    return ast.unparse(step.numbers[0])


def test_only_allocations_launches_and_results_are_left():
    steps = evaluated("""
        'what it does'
        a, b = x.shape
        size: int = max(a, b) * 2 if flag else n
        assert x.dim() == 2 and none is None and x is not y
        if name == "b" or x.dtype is torch.float16:
            raise ValueError
        out = torch.empty([size, b], dtype=torch.bool, device=x.device)
        if not flag:
            out = None
        other = out
        _launch(_kernel, (-(-size // 4), min(b, 3)), x, n * size + b)
        return (out, other, [x, None], flag, a)
        never = print()
    """)
    allocation, alias, launch, result = steps
    assert allocation == Allocation("out", (12, 4), (4, 1), torch.bool)
    assert (alias, result) == ("other = out", "return (out, other, [x, None], True, 6)")
    assert launch.grid == (3, 3) and launch.tensors == ("x",) and launch.layouts == (((6, 4), (4, 1)),)
    assert [ast.unparse(n) for n in launch.numbers] == ["n * 12 + 4"]


def test_views_of_what_is_allocated_are_allocated():
    [step] = evaluated("a = torch.empty([2, 3, 4], dtype=torch.int8, device=x.device).permute(2, 0, 1).transpose(0, 1)")
    assert step == Allocation("a", (2, 4, 3), (12, 1, 4), torch.int8)
    [step] = evaluated("a = x.new_empty(3, 4, dtype=torch.int32).t()")
    assert step == Allocation("a", (4, 3), (1, 4), torch.int32)
    for text in ("x.t()", "torch.empty_like(x).view(-1)", "torch.empty_like(x)[1:].t()", "torch.empty_like(x).t(*n)"):
        with pytest.raises(NotStraight):
            evaluated(f"out = {text}")


def test_numbers_of_the_module_are_captured_where_they_are_used():
    text = """
        (left, (right, scale)), (rows, _) = pair, x.size()
        some = ROWS if left > 0 else COLUMNS + rows
        factor = n * SCALE * scale
        _launch(_kernel, (some,), x, factor + right)
    """
    space = {"ROWS": 5, "COLUMNS": 7, "SCALE": 0.5, "WEIGHT": X}
    found = straight(text, **space)
    assert found.captured == {"COLUMNS": 7, "SCALE": 0.5}
    assign, launch = evaluated(text, **space)
    assert assign == "factor = n * 0.5 * 2.5" and launch.grid == (13,)
    for value in (X, None, [3], lambda: 3):
        with pytest.raises(NotStraight):
            straight(text, **{**space, "SCALE": value})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("n", "n"), ("n * m", "n * m"), ("-n", "-n"), ("float(n) / x.size(0)", "float(n) / 6"), ("x.numel()", "24"),
        ("max(n, x.stride(0)) - 1", "max(n, 4) - 1"), ("2.5 * len(x.shape)", "5.0"), ("-x.size(1)", "-4"),
    ],
)  # fmt: skip
def test_numbers_keep_what_is_open(text, left):
    assert number(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "int(y[0])", "y.sum() > 0", "int(x.any())", "bool(y)", "y.item()", "y.tolist()", "len(y) if y.max() else 1",
        "helper(x.size(0))", "x.grad", "x.requires_grad", "x.data_ptr()", "open('/etc/hostname')", "[i for i in (1,)]",
        "(lambda: 1)()", "missing", "x.size(0) ** n", "x.size(dim=0)", "f'{n}'", "torch.cuda.device_count()",
        "torch.is_grad_enabled()", "x.device.index", "(k := 3)", "float('inf')", "x + 1", "n if n > 1 else 2",
    ],
)  # fmt: skip
def test_what_layouts_do_not_decide_is_not_evaluated(text):
    if text == "x.size(0) ** n":
        assert number(text) == "6 ** n"  # computed at every call
        return
    with pytest.raises(NotStraight):
        number(text, helper=abs)


def test_names_that_stand_for_something_else():
    assert number("max(2, 3)") == "3"
    for function, text in (("max", "max(2, 3)"), ("max", "max(n, 3)"), ("float", "float(n)")):
        with pytest.raises(NotStraight):
            number(text, **{function: lambda *_: 7})
    with pytest.raises(NotStraight):
        evaluated("out = torch.empty_like(x)", torch=object())


@pytest.mark.parametrize(
    "text",
    [
        "out = torch.zeros([2], dtype=torch.int32, device=x.device)", "out = torch.full_like(x, 1)",
        "out = torch.empty_like(x, memory_format=torch.contiguous_format)", "out = torch.empty([n])",
        "out = torch.empty(3, dtype=torch.int32)", "out = torch.empty([3], device=x.device)", "out = x.new_zeros(3)",
        "out = torch.empty([n], dtype=torch.int32, device=x.device)", "out, = torch.empty_like(x)",
        "out = [torch.empty_like(x)]", "x.out = torch.empty_like(x)", "x[0] = 1", "x += 1", "x.zero_()",
        "out = x.view(-1)",
        "for i in range(2): pass", "while flag: pass", "with torch.no_grad(): pass", "del x", "global z", "import os",
        "def f(): pass", "assert not flag", "assert n", "return name", "return x.dtype", "return x.view(-1)",
        "return x.size()", "return missing", "if n: pass", "yield", "raise ValueError",
        "_launch(_kernel, (1,), WEIGHT, 1)", "_launch(_kernel, (1,), x.t(), 1)", "_launch(_kernel, (n,), x, 1)",
        "out = torch.empty_like(y=x)", "out = torch.empty(*x.shape, dtype=x.dtype, device=x.device)",
    ],
)  # fmt: skip
def test_statements_that_are_not_straight(text):
    with pytest.raises(NotStraight):
        evaluated(text)


def test_an_allocation_elsewhere():
    text = "out = torch.empty_like(x, device='meta')"
    with pytest.raises(NotStraight, match="something else"):
        evaluated(text)
    with pytest.raises(NotStraight, match="something else"):
        evaluated("out = torch.empty_like(x)", device=torch.device("meta"))


def test_arguments_are_left_alone():
    before = X.clone()
    with pytest.raises(NotStraight):
        evaluated("k = x.fill_(3)")
    torch.testing.assert_close(X, before)
