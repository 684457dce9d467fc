"""On plain Python values a rewritten function does exactly what the original does."""

# ruff: noqa: B007, C416, F821, F842, PIE800, RUF007, RUF012, RUF021 - the table holds what people write

import functools
import inspect
import linecache
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helion import exc
from helion.frontend.rewrite import rewrite

# --- functions of a list of numbers, every construct of control flow among them -------------------------------------


def for_with_carried(xs):
    total, last = 0, None
    for x in xs:
        total = total + x
        last = x
    return total, last


def for_else(xs):
    found = "none"
    for x in xs:
        if x > 2:
            found = x
            break
    else:
        found = "all small"
    return found


def for_else_without_break(xs):
    n = 0
    for _ in xs:
        n += 1
    else:
        n = -n
    return n


def continue_in_nested_ifs(xs):
    kept = []
    for x in xs:
        if x > 0:
            if x % 2:
                continue
            kept.append(x)
        else:
            kept.append(-x)
            continue
        kept.append(0)
    return kept


def continue_and_break(xs):
    total = 0
    for x in xs:
        if x < 0:
            continue
        if x > 5:
            break
        total += x
    return total, x if xs else None


def nested_loops(xs):
    pairs = []
    for x in xs:
        for y in xs:
            if y > x:
                break
            if y == x:
                continue
            pairs.append((x, y))
        else:
            pairs.append(x)
    return pairs


def return_from_nested_loop(xs):
    for i, x in enumerate(xs):
        for y in xs[:i]:
            if x == y:
                return i, x
    return None


def while_with_everything(xs):
    i, out = 0, []
    while i < len(xs):
        i += 1
        if xs[i - 1] == 0:
            continue
        if xs[i - 1] > 6:
            break
        out.append(xs[i - 1])
    else:
        out.append("end")
    return i, out


def while_without_jumps(xs):
    n, steps = sum(xs), 0
    while n > 0 and steps < 50:
        n, steps = n - 3, steps + 1
    else:
        steps = steps * 10
    return n, steps


def while_true(xs):
    it = iter(xs)
    while True:
        try:
            x = next(it)
        except StopIteration:
            return "empty"
        if x > 1:
            return x


def chained_elif(xs):
    names = []
    for x in xs:
        if x < 0:
            name = "negative"
        elif x == 0:
            name = "zero"
        elif 0 < x < 3 != x:
            name = "small"
        else:
            name = "large"
        names.append(name)
    return names


def name_of_one_branch(xs):
    if xs:
        first = xs[0]
    return first if xs else "nothing"


def used_before_assignment(xs):
    for x in xs:
        if x > 100:
            late = x
    return late


def late_name_in_else(xs):
    for x in xs:
        if x > 0:
            word = "yes"
        elif x < 0:
            word = "no"
    if xs and xs[-1] != 0:
        return word
    return None


def target_after_loop(xs):
    x = "unset"
    for x in xs:
        pass
    return x


def unpacking_targets(xs):
    out = []
    for i, (a, *rest) in enumerate([(x, x + 1, x + 2) for x in xs]):
        out.append((i, a, rest))
    return out


def subscript_and_attribute_targets(xs):
    class Box:
        pass

    box, slots = Box(), [None, None]
    for box.last, slots[1] in zip(xs, xs[1:], strict=False):
        pass
    return getattr(box, "last", None), slots


def star_unpacking(xs):
    first, *middle, last = [0, *xs, 1]
    (a, b), c = (first, last), [*middle]
    return max(*middle, 0, 0), a, b, c, {**{"k": a}, "m": [*c, *c]}


def swap(xs):
    a, b = 0, 1
    for x in xs:
        a, b = b + x, a
    return a, b


def chained_assignment(xs):
    for x in xs:
        a = b = c = x
    return (a, b, c) if xs else None


def annotated(xs):
    total: int = 0
    never: int
    for x in xs:
        part: int = x
        total += part
    return total


def deleted(xs):
    a = b = 1
    del a
    for x in xs:
        b += x
        temporary = [x]
        del temporary[0]
        del temporary
    return b


def deleted_is_gone(xs):
    a = 1
    del a
    return a


def walrus(xs):
    out = []
    if (n := len(xs)) > 2 and (m := n * 2) > 5:
        out.append((n, m))
    while (n := n - 1) > 0:
        out.append(n)
    out.append([y := x + 1 for x in xs])
    return out, (y if xs else None)


def comprehensions(xs):
    squares = [x * x for x in xs if x if x > 1]
    table = {x: [y for y in range(x % 4) if y != x] for x in xs}
    return squares, table, {x % 3 for x in xs}, sum(x for x in xs), list(zip(xs, squares, strict=False))


def comprehension_shadows(xs):
    x = "outer"
    for _ in xs:
        inner = [x for x in xs]
    return x, (inner if xs else None)


def chained_comparison(xs):
    log = []

    def see(v):
        log.append(v)
        return v

    results = [see(0) < see(x) <= see(4) for x in xs]
    return results, log, [1 < x < 5 > 2 for x in xs], [x in xs is not None for x in xs]


def short_circuit(xs):
    log = []

    def see(v):
        log.append(v)
        return v

    return [see(x) and see(x - 1) or see("last") for x in xs], not xs, not (xs and xs[0]), log, [] or {} or None


def conditional_expressions(xs):
    return ["even" if x % 2 == 0 else "big" if x > 3 else "odd" for x in xs], (1 / xs[0] if xs and xs[0] else 0)


def try_paths(xs):
    log = []
    for x in xs:
        try:
            value = 12 // x
        except ZeroDivisionError as error:
            log.append(type(error).__name__)
            continue
        else:
            log.append(value)
        finally:
            log.append("finally")
    return log


def try_return(xs):
    for x in xs:
        try:
            if x > 2:
                return x
        finally:
            xs = [*xs, "seen"]
    return xs


def with_blocks(xs):
    class Enter:
        def __enter__(self):
            return log.append("in") or log

        def __exit__(self, *_):
            log.append("out")
            return True

    log = []
    for x in xs:
        with Enter() as entered, Enter():
            entered.append(x)
            if x == 0:
                raise ValueError(x)
            entered.append("end")
    return log


def closures(xs):
    makers = []
    for x in xs:

        def make(step, x=x):
            return x + step

        makers.append(make)
    shift = 10
    late = [lambda: shift for _ in xs]
    shift = 20
    return [m(1) for m in makers], [f() for f in late]


def closure_sees_updates(xs):
    total = 0

    def read():
        return total

    for x in xs:
        total = total + x
    return read(), total


def nested_function_with_loops(xs):
    def positive(ys, limit=3):
        out = []
        for y in ys:
            if y < 0:
                continue
            if len(out) >= limit:
                return out
            out += [y]
        return out

    @functools.cache
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    return positive(xs), positive(xs, limit=1), fib(10)


def keyword_calls(xs):
    def collect(a, *args, b=2, **more):
        return a, args, b, sorted(more.items())

    return collect(*xs, 1, b=3, c=len(xs)), sorted(xs, key=lambda v: -v), max(xs, default=None), min([*xs, 9])


def match_statement(xs):
    out = []
    for x in xs:
        match x:
            case 0:
                out.append("zero")
            case int() if x < 0:
                continue
            case 1 | 2 as small:
                out.append(small)
            case other:
                out.append([other])
    return out


def augmented(xs):
    table = {"n": 0}
    row = [0] * 3
    for i, x in enumerate(xs):
        table["n"] += x
        row[i % 3] -= x
        row += [x]
    return table, row


def asserts(xs):
    for x in xs:
        assert x < 7, f"{x} is too large"
    return "fine"


def bare_assert(xs):
    assert all(x >= 0 for x in xs)
    return True


def f_strings(xs):
    return [f"{x:>3}{'!' if x else '?'}" for x in xs]


def shadowed_builtins(xs):
    def range(n):
        return ["mine", n]

    min = sum
    return [v for v in range(2)], min(xs)


def local_class(xs):
    class Counter:
        def __init__(self):
            self.n = 0

        def feed(self, ys):
            for y in ys:
                if y:
                    self.n += y
            return self

    return Counter().feed(xs).n


def imports(xs):
    import math
    from os import path as p

    for x in xs:
        import string as s
    return math.floor(2.5), p.basename("a/b"), (s.digits if xs else "")


def loop_without_iterations_keeps(xs):
    kept = "before"
    for x in xs[:0]:
        kept = x
    while False:
        kept = 0
    return kept


def a_generator_is_consumed_once(xs):
    it = iter(xs)
    first = []
    for x in it:
        first.append(x)
        if len(first) == 2:
            break
    return first, list(it)


def lambda_with_condition(xs):
    sign = lambda v: 1 if v > 0 else -1 if v < 0 else 0  # noqa: E731
    return [sign(x) for x in xs]


def parameter_defaults(xs, scale=2, *, offset=1):
    return [x * scale + offset for x in xs]


FUNCTIONS = [
    f
    for f in list(globals().values())
    if inspect.isfunction(f) and f.__module__ == __name__ and next(iter(inspect.signature(f).parameters), None) == "xs"
]


@functools.cache
def rewritten(function):
    return rewrite(function)


def outcome(function, xs):
    """Result, or kind and text of the exception; a name that has no value counts as such whatever raises it."""
    try:
        return function(list(xs))
    except (UnboundLocalError, exc.UndefinedVariable):
        return "unbound"
    except AssertionError as error:  # pytest adds lines of its own to those of this file
        return AssertionError, str(error).partition("\n")[0].removeprefix("assert False")
    except Exception as error:
        return type(error), str(error)


def test_the_table_is_read_whole():
    assert len(FUNCTIONS) >= 48


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@given(xs=st.lists(st.integers(-3, 9), max_size=6))
@example(xs=[])
@example(xs=[0])
@example(xs=[1, 2, 3])
@example(xs=[5, 0, 5, -1, 8, 2])
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_a_rewritten_function_does_what_the_original_does(function, xs):
    assert outcome(rewritten(function), xs) == outcome(function, xs)


# --- what else is kept ----------------------------------------------------------------------------------------------


def make_counter(start):
    calls = [start]

    def count(n):
        for _ in range(n):
            calls[0] += 1
        return calls

    return count, calls


def test_closure_cells_are_shared_with_the_original():
    count, calls = make_counter(5)
    assert rewrite(count)(3) is calls and calls == [8]
    assert count(1) == [9]


SCALE = 3


def uses_a_global(x):
    return x * SCALE if x else SCALE


def test_globals_are_looked_up_when_called(monkeypatch):
    function = rewrite(uses_a_global)
    assert function(2) == 6
    monkeypatch.setitem(globals(), "SCALE", 5)
    assert function(2) == 10


def test_signature_defaults_and_names_are_kept():
    function = rewrite(parameter_defaults)
    assert inspect.signature(function) == inspect.signature(parameter_defaults)
    assert function([1], 3, offset=0) == [3]
    assert (function.__name__, function.__qualname__) == ("parameter_defaults", "parameter_defaults")


class Account:
    __rate = 2
    shared = []

    def __init__(self, balance):
        self.__balance = balance

    def __helper(self, n):
        return n * Account.__rate

    def grow(self, n):
        for _ in range(n):
            self.__balance = self.__balance + self.__helper(1)
        return self.__balance


def test_private_names_are_those_of_the_class():
    account = Account(1)
    assert rewrite(Account.grow)(account, 3) == 7


def fails_in_a_loop(xs):
    for x in xs:
        if x == 0:
            pass
        y = (
            1 / x
        )  # fmt: skip
    return y


def test_tracebacks_show_the_line_of_the_file():
    with pytest.raises(ZeroDivisionError) as caught:
        rewrite(fails_in_a_loop)([1, 0])
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.filename == __file__ and "1 / x" in linecache.getline(last.filename, last.lineno)


def never_read_before(xs):
    for x in xs:
        late = x
    return late + 1


def test_a_name_without_a_value_says_which():
    with pytest.raises((UnboundLocalError, exc.UndefinedVariable), match="late"):
        rewrite(never_read_before)([])
