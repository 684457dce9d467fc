"""What the front end does not rewrite is refused, with its place."""

import pytest

from helion import exc
from helion.frontend.rewrite import rewrite

SCALE = 3


def yields(x):
    yield x


def yields_from(x):
    yield from x


def writes_global(x):
    global SCALE
    SCALE = x


def writes_nonlocal(x):
    n = 0

    def inner():
        nonlocal n
        n = x

    inner()
    return n


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (yields, "`yield`"),
        (yields_from, "`yield from`"),
        (writes_global, "`global`"),
        (writes_nonlocal, "`nonlocal`"),
    ],
)
def test_unsupported_syntax_is_refused_with_its_place(function, what):
    with pytest.raises(exc.UnsupportedSyntax, match="not supported in a kernel") as caught:
        rewrite(function)
    assert what in str(caught.value)
    assert what.strip("`").split()[0] in caught.value.location.text and caught.value.location.filename == __file__


async def coroutine(x):
    return x


def test_async_functions_are_refused():
    with pytest.raises(exc.UnsupportedSyntax, match="async def"):
        rewrite(coroutine)


def test_functions_without_source_are_refused():
    namespace = {}
    exec("def made(x):\n    return x\n", namespace)
    with pytest.raises(exc.SourceUnavailable, match="`made`"):
        rewrite(namespace["made"])
    with pytest.raises(exc.SourceUnavailable, match="lambda"):
        rewrite(lambda x: x)
