"""Which variables a loop or a branch carries."""

import ast
import textwrap

import pytest

from helion.frontend.liveness import Liveness, reads, writes


def body_of(text: str) -> list[ast.stmt]:
    return ast.parse(textwrap.dedent(text)).body


def live(text: str, kind: type) -> tuple[set[str], set[str]]:
    """(live after, live on entry of the body) of the first statement of `kind`."""
    body = body_of(text)
    liveness = Liveness(body)
    node = next(n for n in ast.walk(ast.Module(body, [])) if isinstance(n, kind))
    return set(liveness.after[node]), set(liveness.into_body[node])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b", {"a"}),
        ("a, (b, *c) = d", {"a", "b", "c"}),
        ("a += b", {"a"}),
        ("a.b = c", set()),
        ("a[b] = c", {"a"}),
        ("a[b][c] += d", {"a"}),
        ("a.append(b); c.d()", {"a"}),
        ("for a in b: c = d", {"a", "c"}),
        ("with a as b: c = 1", {"b", "c"}),
        ("import a.b, c as d", {"a", "d"}),
        ("def f(a): b = 1", {"f"}),
        ("class C: b = 1", {"C"}),
        ("del a", {"a"}),
        ("[a for a in b]", set()),
        ("[(c := a) for a in b]", {"c"}),
        ("lambda a: a", set()),
        ("(a := b)", {"a"}),
        ("try: a = 1\nexcept E as b: c = 1", {"a", "b", "c"}),
        ("match a:\n    case [b, *c]: d = 1", {"b", "c", "d"}),
        ("a: int = 1", {"a"}),
    ],
)
def test_writes(text, expected):
    assert writes(body_of(text)) == expected


def test_reads_look_into_nested_functions_and_comprehensions():
    assert reads(ast.parse("[f(a) for a in b] + (lambda: c)()")) == {"a", "b", "c", "f"}


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        # read behind the loop; read by the next iteration; neither
        ("for i in r:\n    s = s + i\n    t = i\nprint(s)", {"s"}),
        ("for i in r:\n    t = i\n    u = t\nprint(u)", {"u"}),
        ("for i in r:\n    t = f(i)\n    use(t)", set()),
        # another assignment behind the loop kills it
        ("for i in r:\n    s = i\ns = 0\nprint(s)", set()),
        # an inner loop reads what the outer one writes later
        ("for i in r:\n    for j in q:\n        use(s)\n    s = i", {"s"}),
        # through continue, which skips the assignment
        ("for i in r:\n    if i: continue\n    s = i\nprint(s)", {"s"}),
        # through break, which skips the else of the loop
        ("for i in r:\n    s = i\n    if i: break\nelse:\n    s = 0\nprint(s)", {"s"}),
        # a closure made in the body reads it
        ("for i in r:\n    f = lambda: s\n    s = i", {"s"}),
        # augmented assignment reads its target
        ("for i in r:\n    s += i", {"s"}),
        ("for i in r:\n    s[i] += 1\n    s = t", {"s"}),
        ("for i in r:\n    s.t = i\n    s = t", {"s"}),
        # a list that the body changes is handed from one iteration to the next
        ("for i in r:\n    s.append(i)", {"s"}),
        # a comprehension's own variable is another one
        ("for i in r:\n    s = i\nt = [0 for s in q]\nprint(s)", {"s"}),
        # a walrus that may be skipped
        ("for i in r:\n    s = i\nt = q and (s := 0)\nprint(s)", {"s"}),
        # the handler may run after any part of the body
        ("for i in r:\n    try:\n        s = g(i)\n    except E:\n        use(s)", {"s"}),
        ("for i in r:\n    with f() as s:\n        use(s)", set()),
        # the loop's own target, read behind it
        ("for i in r:\n    use(i)\nprint(i)", {"i"}),
        ("for i in r:\n    use(i)", set()),
        # a branch that assigns only on one path passes the old value on
        ("for i in r:\n    if c:\n        s = i\n    use(s)", {"s"}),
    ],
)
def test_what_a_loop_carries(text, carried):
    after, into = live(text, ast.For)
    (loop,) = [n for n in body_of(text) if isinstance(n, ast.For)]
    assert writes([*loop.body, loop.target]) & (after | into) == carried


def test_while_reads_its_condition_in_every_iteration():
    after, into = live("while n > 0:\n    n = n - 1", ast.While)
    assert "n" not in after and "n" in into


def test_branches():
    after, into = live("if c:\n    a = 1\nelse:\n    b = a\nprint(b)", ast.If)
    assert after == {"b", "print"} and into == {"a", "b", "print"}
