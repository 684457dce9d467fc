"""Random kernels, typed and seeded, compiled through the interpreter and run by plain PyTorch.

`python packages/helion-core/tests/programs/generate.py --seconds 60 --seed 0` prints the kernels whose results differ,
shortened as far as they still do.

A program is a list of assignments, `v3 = torch.where(v1 > v2, x, w)`, whose text means the same for tiles and for
whole tensors. Floats are small multiples of 1/4, and what is compared or rounded is computed exactly, so that no
difference in the last place decides a branch. `z` is a number that only the device knows; the helper functions below
are inlined there, so that loops and branches of theirs are the device's, and `own` reduces by functions of one's own.
"""

from __future__ import annotations

import argparse
import linecache
import random
import re
import sys
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch

import helion
import helion.language as hl

ROWS, COLUMNS = (1, 5, 16, 21), (1, 7, 16, 19)
INTS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
FLOATS = (torch.float32, torch.float64)


def stepped(x: Any, z: Any) -> Any:
    for step in range(z & 3):
        if step > 0:
            x = -x
        x = x + step
    return x


def counted(x: Any, z: Any) -> Any:
    total, count = x * 1, 0
    for step in range(z & 3):
        if step != 1:
            total += x
            count += 1
        elif z > 1:
            total -= 2
    while count > 1:
        total = total - x
        count -= 1
    return total + count


def larger(a: Any, b: Any) -> Any:
    return torch.where(a > b, a, b)


def first_larger(a: Any, i: Any, b: Any, j: Any) -> tuple[Any, Any]:
    take = (b > a) | ((b == a) & (j < i))
    return torch.where(take, b, a), torch.where(take, j, i)


class Own:
    """Reductions and scans of rows by one's own functions, and what torch calls them."""

    @staticmethod
    def total(x: Any) -> Any:
        return hl.reduce(lambda a, b: a + b, x, 1, keep_dims=True)

    @staticmethod
    def last(x: Any) -> Any:
        index = torch.arange(x.size(1), dtype=torch.int32).expand_as(x)
        return hl.reduce(first_larger, (x, -index), -1, other=(-100, 100), keep_dims=True)[1]

    @staticmethod
    def running(x: Any) -> Any:
        return hl.associative_scan(larger, x, 1, reverse=True)

    @staticmethod
    def halves(x: Any, y: Any) -> Any:
        left, right = hl.split(hl.join(x, y))
        return left - right


class Torchs:
    @staticmethod
    def total(x: Any) -> Any:
        return x.sum(1, keepdim=True, dtype=x.dtype)

    @staticmethod
    def last(x: Any) -> Any:
        return x.flip(1).argmax(1, keepdim=True) + 1 - x.size(1)

    @staticmethod
    def running(x: Any) -> Any:
        return x.flip(1).cummax(1)[0].flip(1)

    @staticmethod
    def halves(x: Any, y: Any) -> Any:
        return x - y


@dataclass(frozen=True)
class Line:
    """`name = text`; `kind`: f (float), e (float, computed exactly), i (int), b (bool). `uses`: names in `text`."""

    name: str
    kind: str
    shape: str  # "mn" for every element, "m1" for one in a row
    text: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """`loop`: elements (tiles of both dims), rows (whole rows), steps (rows, added up by a nested loop)."""

    loop: str
    lines: tuple[Line, ...]
    results: tuple[str, ...]
    sizes: tuple[int, int]
    dtypes: tuple[torch.dtype, torch.dtype, torch.dtype]
    bounds: tuple[int, int]
    seed: int

    def line(self, name: str) -> Line:
        return next(line for line in self.lines if line.name == name)

    def inputs(self) -> dict[str, Any]:
        """x, y: floats [m, n]; c: floats [m, 1]; w: floats [1, n]; p, q: ints [m, n]; k, z: ints."""
        make = torch.Generator().manual_seed(self.seed)
        (m, n), (f, p, q) = self.sizes, self.dtypes

        def draw(shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
            low = 0 if dtype is torch.uint8 else -12
            numbers = torch.randint(low, 13, shape, generator=make)
            return (numbers / 4).to(dtype) if dtype.is_floating_point else numbers.to(dtype)

        shapes = {"x": (m, n), "y": (m, n), "c": (m, 1), "w": (1, n)}
        found: dict[str, Any] = {name: draw(shape, f) for name, shape in shapes.items()}
        found["y"] = draw((n, m), f).t()
        numbers = random.Random(self.seed)
        found |= {"p": draw((m, n), p), "q": draw((m, n), q)}
        return found | {"k": numbers.randint(-5, 5), "z": numbers.randint(-3, 3)}

    def shorter(self) -> list[Program]:
        """Programs with one line or one result less."""
        found: list[Program] = []
        if len(self.results) > 1:
            found += [replace(self, results=tuple(r for r in self.results if r != left)) for left in self.results]
        for line in self.lines:
            if line.name in self.results or any(line.name in other.uses for other in self.lines):
                continue
            found.append(replace(self, lines=tuple(other for other in self.lines if other is not line)))
        for line in self.lines:
            if line.name in self.results:
                found += [
                    replace(self, results=tuple(use if r == line.name else r for r in self.results))
                    for use in line.uses
                    if any(use == o.name and (self.loop != "steps" or o.shape == "m1") for o in self.lines)
                    and use not in self.results
                ]  # fmt: skip
        return found


class Maker:
    """Draws one program."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.lines: list[Line] = []
        self.known: list[tuple[str, str, str]] = [  # name, kind, shape
            ("x", "e", "mn"), ("y", "e", "mn"), ("c", "e", "m1"), ("w", "e", "1n"), ("p", "i", "mn"), ("q", "i", "mn"),
        ]  # fmt: skip

    def program(self) -> Program:
        rng = self.rng
        loop = rng.choice(["elements", "rows", "rows", "steps"])
        for _ in range(rng.randint(2, 9)):
            self.add(loop)
        if loop == "steps" and not any(line.shape == "m1" for line in self.lines):
            self.define("e", "m1", "x.amax(1, keepdim=True)", self.known[0])
        wanted = [line.name for line in self.lines if loop != "steps" or line.shape == "m1"]
        results = tuple(sorted(rng.sample(wanted, min(len(wanted), rng.randint(1, 3)))))
        sizes = rng.choice(ROWS), rng.choice(COLUMNS)
        begin = rng.randint(0, sizes[1] - 1)
        bounds = (0, sizes[1]) if rng.random() < 0.5 else (begin, rng.randint(begin + 1, sizes[1]))
        dtypes = rng.choice(FLOATS), rng.choice(INTS), rng.choice(INTS)
        return Program(loop, tuple(self.lines), results, sizes, dtypes, bounds, self.seed)

    def one(self, kinds: str, shapes: tuple[str, ...] = ("mn", "m1", "1n")) -> tuple[str, str, str]:
        fitting = [k for k in self.known if k[1] in kinds and k[2] in shapes]
        return self.rng.choice(fitting[-6:] if self.rng.random() < 0.7 else fitting)

    def define(self, kind: str, shape: str, text: str, *uses: tuple[str, str, str]) -> None:
        name = f"v{len(self.lines)}"
        self.lines.append(Line(name, kind, shape, text, tuple(u[0] for u in uses)))
        self.known.append((name, kind, shape))

    def add(self, loop: str) -> None:
        rng = self.rng
        makers = [self.exact, self.exact, self.smooth, self.integer, self.integer, self.flag, self.choice, self.convert]
        makers += [self.branch]
        if loop != "elements":
            makers += [self.reduce, self.reduce, self.reduce]
        if loop == "rows":
            makers += [self.scan, self.order, self.own, self.part]
        rng.choice(makers)()

    @staticmethod
    def joint(*values: tuple[str, str, str]) -> str:
        shapes = {v[2] for v in values}
        return shapes.pop() if len(shapes) == 1 else "mn"

    def exact(self) -> None:
        a, b = self.one("e"), self.one("e")
        form = self.rng.choice(
            ["{a} + {b}", "{a} - {b}", "{a} * 0.5 - {b}", "-{a}", "{a}.abs()", "torch.minimum({a}, {b})", "{a}.floor()",
             "torch.maximum({a}, {b})", "{a}.clamp(-2.0, 1.5)", "{a}.round()", "torch.relu({a}) + {b}", "{a} * k",
             "{a}.sign() * {b}.trunc()", "{a} + 1"]
        )  # fmt: skip
        self.define("e", self.joint(a, b) if "{b}" in form else a[2], form.format(a=a[0], b=b[0]), a, b)

    def smooth(self) -> None:
        a, b = self.one("fe"), self.one("fe")
        form = self.rng.choice(
            ["torch.sigmoid({a})", "torch.tanh({a})", "torch.exp(-{a}.abs())", "{a}.abs().sqrt()", "torch.sin({a})",
             "{a} / ({b}.abs() + 1)", "torch.nn.functional.gelu({a}.clamp(-4, 4))", "torch.log1p({a}.abs())",
             "torch.lerp({a}.clamp(-9, 9), {a}.abs().clamp(-9, 9), 0.25)", "torch.erf({a})",
             "torch.atan2({a}, {b}.abs() + 1)"]
        )  # fmt: skip
        self.define("f", self.joint(a, b) if "{b}" in form else a[2], form.format(a=a[0], b=b[0]), a, b)

    def integer(self) -> None:
        a, b = self.one("i"), self.one("i")
        form = self.rng.choice(
            ["{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} // ({b} | 1)", "{a} % ({b} | 1)", "{a} & {b}", "{a} ^ {b}",
             "~{a}", "{a} << 2", "{a} >> 1", "-{a}", "torch.maximum({a}, {b})", "torch.fmod({a}, {b} | 1)", "{a} * k",
             "{a} + k",
             "{a} // 3", "{a} % -4", "{a}.clamp(1, 7)", "torch.div({a}, {b} | 1, rounding_mode='trunc')"]
        )  # fmt: skip
        self.define("i", self.joint(a, b) if "{b}" in form else a[2], form.format(a=a[0], b=b[0]), a, b)

    def flag(self) -> None:
        kind = self.rng.choice("ei")
        a, b = self.one(kind), self.one(kind)
        symbol = self.rng.choice(["<", "<=", ">", ">=", "==", "!="])
        form = self.rng.choice(["{a} %s {b}", "~({a} %s {b})", "({a} %s {b}) | ({a} > 1)", "({a} %s {b}) & ({b} < 2)"])
        self.define("b", self.joint(a, b), (form % symbol).format(a=a[0], b=b[0]), a, b)

    def choice(self) -> None:
        flags = [k for k in self.known if k[1] == "b"]
        if not flags:
            return self.flag()
        test, kind = self.rng.choice(flags), self.rng.choice("eif")
        a, b = self.one("ef" if kind == "f" else kind), self.one("ef" if kind == "f" else kind)
        other = self.rng.choice([b[0], b[0], "1", "0"])
        shape = self.joint(test, a, b) if other == b[0] else self.joint(test, a)
        return self.define(kind, shape, f"torch.where({test[0]}, {a[0]}, {other})", test, a, b)

    def convert(self) -> None:
        a = self.one("ib")
        if self.rng.random() < 0.5:
            self.define("e", a[2], f"{a[0]}.to(torch.float32).clamp(-99, 99)", a)
        else:
            wide = self.rng.choice(["torch.int32", "torch.int64", "torch.int8", "torch.uint8", "torch.int16"])
            self.define("i", a[2], f"{a[0]}.to({wide})", a)

    def branch(self) -> None:
        kind = self.rng.choice("ei")
        a, b = self.one(kind), self.one(kind)
        form = self.rng.choice(
            ["({a} - {b} if z > 0 else {b} + {a})", "({a} + {b} if z % 2 == 0 and z < 3 else {b} - {a})", "{a} * z",
             "{a} + z", "stepped({a}, z)", "counted({a}, z)", "{a} * max(z, k)",
             "{a} + (z or 5)", "own.halves({a}, {b} + {a})"]
        )  # fmt: skip
        if "own" in form and self.joint(a, b) != a[2]:
            return self.exact()
        return self.define(kind, self.joint(a, b) if "{b}" in form else a[2], form.format(a=a[0], b=b[0]), a, b)

    def own(self) -> None:
        kind = self.rng.choice("ei")
        a = self.one(kind, ("mn",))
        kind, shape, form = self.rng.choice(
            [
                (kind, "m1", "own.total({a})"),
                (kind, "mn", "own.running({a})"),
                ("i", "m1", "own.last({a}.to(torch.float32).clamp(-99, 99))"),
            ]
        )
        self.define(kind, shape, form.format(a=a[0]), a)

    def part(self) -> None:
        a, b = (self.one("e", ("mn",)) for _ in range(2))
        shape, form = self.rng.choice(
            [("m1", "{a}[:, :1] + {b}[:, -1:]"), ("m1", "torch.cat([{a}, {b}], 1).amax(1, keepdim=True)"),
             ("mn", "torch.stack([{a}, {b}], 1).amax(1)"), ("mn", "torch.stack([{a}, {b}], 2).amin(2)"),
             ("mn", "torch.einsum('ij,ij->ij', {a}.clamp(-9, 9), {b}.clamp(-9, 9))"),
             ("mn", "{a}.t().flip(0).t() + {b}"),
             ("mn", "{a}[:, None, :].expand(-1, 2, -1).amax(1) - {b}")]
        )  # fmt: skip
        self.define("e", shape, form.format(a=a[0], b=b[0]), a, b)

    def reduce(self) -> None:
        kind = self.rng.choice("eefib")
        known = [k for k in self.known if k[1] == kind and k[2] == "mn"]
        if not known:
            return self.exact()
        a = self.rng.choice(known)
        names = {"e": ["amax", "amin", "sum"], "f": ["amax", "amin", "sum"], "i": ["amax", "amin", "sum"],
                 "b": ["any", "all", "sum"]}  # fmt: skip
        name = self.rng.choice(names[kind])
        result = "i" if kind == "b" and name == "sum" else "f" if name == "sum" and kind != "i" else kind
        return self.define(result, "m1", f"{a[0]}.{name}(1, keepdim=True)", a)

    def scan(self) -> None:
        a = self.one("ei", ("mn",))
        if a[1] == "i":
            return self.define("i", "mn", f"{a[0]}.cumsum(1)", a)
        form = self.rng.choice(["{a}.cumsum(1)", "torch.cummax({a}, 1)[0]", "{a}.flip(1)", "{a}.roll(1, 1)"])
        return self.define("e", "mn", form.format(a=a[0]), a)

    def order(self) -> None:
        a = self.one("e", ("mn",))
        sort = "torch.sort({a}.to(torch.float32), dim=1, "
        form, kind, shape = self.rng.choice(
            [(sort + "descending=False)[0]", "e", "mn"), (sort + "descending=True, stable=True)[1]", "i", "mn"),
             ("{a}.argmax(1, keepdim=True)", "i", "m1"), ("{a}.argmin(1, keepdim=True)", "i", "m1"),
             ("torch.softmax({a}, 1)", "f", "mn"), ("{a}.mean(1, keepdim=True)", "f", "m1"),
             ("{a}.logsumexp(1, keepdim=True)", "f", "m1"), ("{a}.var(1, keepdim=True, unbiased=False)", "f", "m1")]
        )  # fmt: skip
        self.define(kind, shape, form.format(a=a[0]), a)


# --- source

_SHARED: dict[str, Any] = {"torch": torch, "stepped": stepped, "counted": counted}

_HEADS = {
    "elements": (["for t, u in hl.tile([m, n]):"], "t, u"),
    "rows": (["for t in hl.tile(m):"], "t, :"),
    "steps": (["for t in hl.tile(m):"], "t, u"),
}


def source(program: Program) -> str:
    """The kernel, as text."""
    heads, index = _HEADS[program.loop]
    row, column = index.split(", ")
    load = {name: f"{name.upper()}[{index}]" for name in "xypq"} | {"c": f"C[{row}, :]", "w": f"W[:, {column}]"}
    used = {use for line in program.lines for use in line.uses}
    body = [f"{name} = {text}" for name, text in load.items() if name in used]
    results = [program.line(name) for name in program.results]
    if any(re.search(r"\bz\b", line.text) for line in program.lines):
        body.insert(0, "z = Z[0]")
    text = ["def kernel(X, Y, C, W, P, Q, Z, k, outs):", "    m, n = X.size()"]
    text += [f"    o{k} = outs[{k}]" for k in range(len(results))]
    text += [f"    {head}" for head in heads]
    if program.loop == "steps":
        text += [f"        s{k} = hl.zeros([t, 1], dtype={_sum_dtype(line)})" for k, line in enumerate(results)]
        text += [f"        for u in hl.tile({program.bounds[0]}, {program.bounds[1]}):"]
        body += [f"{line.name} = {line.text}" for line in program.lines]
        body += [f"s{k} = s{k} + {line.name}.to({_sum_dtype(line)})" for k, line in enumerate(results)]
        text += [f"            {line}" for line in body]
        text += [f"        o{k}[t, :] = s{k}" for k in range(len(results))]
        return "\n".join(text) + "\n"
    body += [f"{line.name} = {line.text}" for line in program.lines]
    for k, line in enumerate(results):
        whole = {"mn": index, "m1": f"{row}, :", "1n": f":, {column}"}[line.shape]
        body.append(f"o{k}[{whole}] = {line.name}")
    return "\n".join([*text, *(f"        {line}" for line in body)]) + "\n"


def _sum_dtype(line: Line) -> str:
    return "torch.float64" if line.kind in "ef" else "torch.int64"


def compiled(program: Program, **settings: Any) -> helion.Kernel:
    text = source(program)
    name = f"<program {abs(hash(text))}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"hl": hl, "__name__": "programs", "own": Own, **_SHARED}
    exec(compile(text, name, "exec"), namespace)
    options: dict[str, Any] = {"use_default_config": True, **settings}
    return helion.kernel(namespace["kernel"], **options)


# --- running


def expected(program: Program, width: int) -> list[torch.Tensor]:
    """What PyTorch computes of the whole tensors; in `steps`, of parts of `width` columns, added up."""
    values = program.inputs()
    if program.loop != "steps":
        return _evaluate(program, values)
    begin, end = program.bounds
    total: list[Any] = [0] * len(program.results)
    for start in range(begin, end, width):
        part = slice(start, min(start + width, end))
        cut = {k: v[:, part] if k in "xywpq" and isinstance(v, torch.Tensor) else v for k, v in values.items()}
        for k, (value, name) in enumerate(zip(_evaluate(program, cut), program.results, strict=True)):
            total[k] = total[k] + value.to(torch.float64 if program.line(name).kind in "ef" else torch.int64)
    return total


def _evaluate(program: Program, values: dict[str, Any]) -> list[torch.Tensor]:
    values = dict(values)
    for line in program.lines:
        values[line.name] = eval(line.text, {"own": Torchs, **_SHARED}, values)
    return [values[name] for name in program.results]


def outputs(program: Program, like: list[torch.Tensor]) -> list[torch.Tensor]:
    (m, n) = program.sizes
    shapes = [{"mn": (m, n), "m1": (m, 1), "1n": (1, n)}[program.line(name).shape] for name in program.results]
    return [torch.full(shape, 77, dtype=value.dtype) for shape, value in zip(shapes, like, strict=True)]


def failure(program: Program, draw: int | None = None, **settings: Any) -> str | None:
    """What is wrong with the results of `program`, or None; under the default config, or one that `draw` decides."""
    values = program.inputs()
    args = [values[name] for name in ("x", "y", "c", "w", "p", "q")] + [torch.tensor([values["z"]]), values["k"]]
    try:
        kernel = compiled(program, **settings)
        bound = kernel.bind((*args, outputs(program, expected(program, 1 << 20))))
        chosen = bound.default_config() if draw is None else config_for(bound, draw)
        reference = expected(program, chosen["block_sizes"][-1])
        outs = outputs(program, reference)
        if settings.get("interpret"):
            kernel(*args, outs)
        else:
            bound.compile_config(chosen).run(*args, outs)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:400]} <- {str(error.__cause__)[:200]}"
    for k, (out, wanted) in enumerate(zip(outs, reference, strict=True)):
        wanted = wanted.expand(out.shape)
        bound_of = 3e-5 * max(1.0, wanted.abs().max().item()) if wanted.dtype.is_floating_point else 0
        bad = ~(
            (out == wanted) | ((out.double() - wanted.double()).abs() <= bound_of) | ((out != out) & (wanted != wanted))
        )
        if bad.any():
            at = tuple(bad.nonzero()[0].tolist())
            return f"{program.results[k]}{list(at)} is {out[at]}, expected {wanted[at]}"
    return None


def shortened(program: Program, **options: Any) -> Program:
    """`program` with as little in it as leaves it failing."""
    while True:
        smaller = next((p for p in program.shorter() if failure(p, **options) is not None), None)
        if smaller is None:
            return program
        program = smaller


def config_for(bound: helion.BoundKernel, seed: int) -> helion.Config:
    """A config drawn from those of the kernel, with blocks small enough that there are several."""
    rng, spec = random.Random(seed), bound.config_spec
    drawn: dict[str, Any] = {name: [rng.choice(key.choices) for key in keys] for name, keys in spec.lists.items()}
    blocks = [[size for size in key.choices if size <= 32] for key in spec.lists["block_sizes"]]
    drawn["block_sizes"] = [rng.choice(sizes[-5:]) for sizes in blocks]
    drawn |= {name: rng.choice(key.choices) for name, key in spec.scalars.items()}
    return spec.normalize(helion.Config(**drawn))


def report(program: Program, problem: str, **options: Any) -> str:
    small = shortened(program, **options)
    about = f"sizes {small.sizes}, dtypes {small.dtypes}, k = {small.inputs()['k']}, {options}"
    return f"seed {program.seed}: {problem}\n  {failure(small, **options)}\n  {about}\n{source(small)}"


def check(seed: int) -> str | None:
    """Runs the program of `seed` four ways: default config, another, for all sizes, as plain PyTorch. Tells what is
    wrong.
    """
    program = Maker(seed).program()
    for options in ({}, {"draw": seed}, {"draw": seed + 1, "static_shapes": False}, {"interpret": True}):
        problem = failure(program, **options)  # type: ignore[arg-type]
        if problem is not None:
            return report(program, problem, **options)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Random kernels against PyTorch.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    end, seed, failed = time.monotonic() + options.seconds, options.seed, 0
    while time.monotonic() < end:
        problem = check(seed)
        seed += 1
        if problem is not None:
            failed += 1
            print(problem, flush=True)
    print(f"seeds {options.seed} to {seed - 1}: {failed} of {seed - options.seed} programs failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
