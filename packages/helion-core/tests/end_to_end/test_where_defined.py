"""Kernels defined wherever Python lets one define a function: they work, or the error says what to do."""

import functools
import linecache
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import helion
import helion.language as hl
from helion import exc

SOURCES = [str(Path(helion.__file__).parents[1])]

CELL = """
import torch, helion, helion.language as hl

@helion.kernel(use_default_config=True)
def double(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + other[tile]
    return out
"""


def check(kernel):
    x = torch.randn(20)
    torch.testing.assert_close(kernel(x), x * 2)


def run_cell(text, number, namespace):
    """What IPython does with a cell: a file name of its own, its text in linecache."""
    filename = f"<ipython-input-{number}-abcdef>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), namespace)


def test_in_a_notebook_cell():
    namespace = {"__name__": "__main__", "other": None}
    run_cell(CELL.replace("other", "x"), 1, namespace)
    check(namespace["double"])


def test_an_error_in_a_notebook_cell_shows_the_cell():
    namespace = {"__name__": "__main__"}
    run_cell(CELL, 2, namespace)
    namespace["other"] = torch.randn(7)
    with pytest.raises(exc.TileSizeMismatch) as caught:
        namespace["double"](torch.randn(20))
    assert "<ipython-input-2-abcdef>:8" in str(caught.value)
    assert "out[tile] = x[tile] + other[tile]" in str(caught.value)


def test_in_ipython_itself():
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell.instance()
    try:
        shell.run_cell(CELL.replace("other", "x"), store_history=True).raise_error()
        shell.run_cell("import torch; y = double(torch.ones(5))").raise_error()
        assert torch.equal(shell.user_ns["y"], torch.full([5], 2.0))
        # the same name again, in another cell
        shell.run_cell(CELL.replace("+ other", "* 3 + 0 * x"), store_history=True).raise_error()
        shell.run_cell("z = double(torch.ones(5))").raise_error()
        assert torch.equal(shell.user_ns["z"], torch.full([5], 3.0))
    finally:
        shell_module.InteractiveShell.clear_instance()


def test_by_exec_there_is_no_source():
    namespace = {"__name__": "nowhere"}
    exec(CELL, namespace)
    with pytest.raises(exc.SourceUnavailable, match="in a file"):
        namespace["double"](torch.randn(3))


def run_script(tmp_path, text, *arguments):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    path = ":".join([*SOURCES, *sys.path])
    return subprocess.run(
        [sys.executable, *(arguments or [str(script)])], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip


def test_in_a_script_and_on_the_command_line(tmp_path):
    script = CELL.replace("other", "x") + "\nprint(double(torch.ones(3)).tolist())\n"
    found = run_script(tmp_path, script)
    assert found.stdout == "[2.0, 2.0, 2.0]\n", found.stderr
    found = run_script(tmp_path, "", "-c", script)
    # newer Pythons keep the text of -c
    assert found.stdout == "[2.0, 2.0, 2.0]\n" or "SourceUnavailable" in found.stderr, found.stderr


def stacked(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@helion.kernel(use_default_config=True)
@stacked
@stacked
def inner_decorators(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


@stacked
@helion.kernel(use_default_config=True)
@stacked
def outer_decorators(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2
    return out


def test_between_other_decorators():
    check(inner_decorators)
    check(outer_decorators)
    assert outer_decorators.__name__ == inner_decorators.__name__.replace("inner", "outer") == "outer_decorators"


@helion.kernel
def bare_decorator(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0), block_size=16):
        out[tile] = x[tile] * 2
    return out


def test_without_parentheses_and_as_jit(monkeypatch):
    monkeypatch.setenv("HELION_USE_DEFAULT_CONFIG", "1")
    check(helion.kernel(bare_decorator.fn))
    check(helion.jit()(bare_decorator.fn))


class Module:
    __power = 1

    def __init__(self, scale):
        self.scale = scale
        self.__weight = torch.full([20], 1.0)

    def helper(self, value):
        return value * self.scale

    def __private(self, value, tile):
        return value * self.__weight[tile]

    @helion.kernel(use_default_config=True)
    def forward(self, x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = self.__private(self.helper(x[tile]), tile) ** self.__power
        return out

    @staticmethod
    @helion.kernel(use_default_config=True)
    def static(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out


def test_as_a_method():
    check(Module(2.0).forward)
    check(Module.static)
    x = torch.randn(20)
    torch.testing.assert_close(Module(5.0).forward(x), x * 5)


def test_nested_in_functions_with_closures():
    def make(factor):
        def scaled(value):
            return value * factor

        @helion.kernel(use_default_config=True)
        def kernel(x):
            def twice(value):
                return scaled(value) + scaled(value)

            out = torch.empty_like(x)
            for tile in hl.tile(x.size(0)):
                out[tile] = twice(x[tile])
            return out

        return kernel

    check(make(1.0))
    x = torch.randn(4)
    torch.testing.assert_close(make(3.0)(x), x * 6)


@helion.kernel(use_default_config=True)
def documented(x: torch.Tensor) -> torch.Tensor:
    """Doubles x."""
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * 2  # a comment; "a string: # not a comment"
    return out


def test_a_kernel_looks_like_its_function():
    assert (documented.__doc__, documented.__name__, documented.name) == ("Doubles x.", "documented", "documented")
    assert documented.__wrapped__ is documented.fn and "documented" in repr(documented)
    check(documented)


def test_a_lambda_or_a_builtin_is_no_kernel():
    with pytest.raises(exc.SourceUnavailable, match="not a Python function"):
        helion.kernel()(len)
    with pytest.raises(exc.SourceUnavailable, match="lambda"):
        helion.kernel(use_default_config=True)(lambda x: x)(torch.ones(1))


@pytest.mark.parametrize(
    ("function", "parameter", "kind"),
    [
        (lambda *tensors: None, "tensors", "*args"),
        (lambda x, **options: None, "options", "**kwargs"),
        (lambda x, *, scale: None, "scale", "keyword-only"),
        (lambda x, _kernel: None, "_kernel", "reserved"),
        (lambda _launch, x: None, "_launch", "reserved"),
        (lambda x, _torch: None, "_torch", "reserved"),
        (lambda x, _multiprocessors=1: None, "_multiprocessors", "reserved"),
    ],
)
def test_signatures_that_are_refused_at_decoration(function, parameter, kind):
    with pytest.raises(exc.InvalidKernelSignature) as caught:
        helion.kernel(function)
    assert f"`{parameter}`" in str(caught.value) and kind in str(caught.value)
    assert caught.value.location.filename == __file__
