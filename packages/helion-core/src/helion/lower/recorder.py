"""Writes operations on scalars down as text, and folds what was written into a template.

While recording, the result of step k is the text `@k@`. In a template `{k}` stands for input k and `$j$` for line j of
`lines`, which is used more than once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from .spellings import HALF, TRITON_DTYPES, cast_text, number_text


@dataclass(frozen=True)
class Template:
    """Triton text of an elementwise operator: helper lines, then the result."""

    lines: tuple[str, ...]
    result: str


class Unsupported(Exception):
    """There is no elementwise body for this operator; another way must be taken."""


class Variable:
    """The result of a recorded step, or an input; its text is a token that is expanded at the end."""

    def __init__(self, token: str, dtype: torch.dtype) -> None:
        self.token = token
        self.dtype = dtype

    def __str__(self) -> str:
        return self.token


class Recorder:
    """The steps of one operator on `inputs`: per tensor its dtype and whether it has dims."""

    variable: Any = Variable

    def __init__(self, inputs: tuple[tuple[torch.dtype, bool], ...]) -> None:
        self.inputs = inputs
        self.texts: list[str] = []
        self.constants: dict[int, tuple[str, torch.dtype]] = {}
        self._known: dict[str, Any] = {}

    def step(self, text: str, dtype: torch.dtype) -> Any:
        """The variable for `text`, which is written once however often it is asked for."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self.variable(f"@{len(self.texts)}@", dtype)
            self.texts.append(text)
        return found

    def input(self, k: int) -> Any:
        """Input k as it is computed with: half precision as float32."""
        dtype, _ = self.inputs[k]
        if dtype in HALF:
            return self.step(f"{{{k}}}.to(tl.float32)", torch.float32)
        return self.step(f"{{{k}}}", dtype)

    def constant(self, value: Any, dtype: torch.dtype) -> Any:
        """A number, which has no type in the text where the tensors beside it tell."""
        number = torch._prims_common.dtype_to_type(dtype)(value)
        if dtype is not torch.bool and not dtype.is_signed:
            number %= 1 << 8 * dtype.itemsize  # as torch: -1 is the largest
        text = number_text(number)
        variable = self.step(text, dtype)
        self.constants[int(str(variable)[1:-1])] = (text, dtype)
        return variable

    def template(self, output: Any, result: torch.dtype) -> Template:
        """What was recorded, ending in `output` as a value of dtype `result`."""
        lines, text = self._expand(str(output))
        dtype = getattr(output, "dtype", None)
        if dtype != result:
            text = cast_text(text if _ATOM.fullmatch(text) else f"({text})", dtype, result)
        return Template(tuple(lines), text)

    def _expand(self, final: str) -> tuple[list[str], str]:
        """Tokens to text: steps used once are written in place, others become lines."""
        uses = [0] * len(self.texts)
        for text in (*self.texts, final):
            for token in _TOKEN.findall(text):
                uses[int(token)] += 1
        lines: list[str] = []
        names: dict[int, str] = {}
        for step, text in enumerate(self.texts):
            expanded = self._substitute(text, names)
            if uses[step] > 1 and step not in self.constants and not re.fullmatch(r"\{\d+\}", expanded):
                names[step] = f"${len(lines)}$"
                lines.append(expanded)
            else:
                names[step] = expanded
        return lines, self._substitute(final, names)

    def _substitute(self, text: str, names: dict[int, str]) -> str:
        def one(match: re.Match[str]) -> str:
            step = int(match[1])
            if step in self.constants:
                literal, dtype = self.constants[step]
                # Triton takes a number without a tensor beside it for float32, or int32
                untyped = text != match.group() and (_is_argument(text, match) or self._only_constants(text))
                exact = untyped and dtype in _NARROW_OR_WIDE
                if exact or text[match.end() : match.end() + 1] == ".":
                    return f"tl.full([], {literal}, {TRITON_DTYPES[dtype]})"
            whole = match.group() == text
            name = names[step]
            return name if whole or _ATOM.fullmatch(name) or _is_argument(text, match) else f"({name})"

        return _TWICE.sub(r"\1", _TOKEN.sub(one, text))

    def _only_constants(self, text: str) -> bool:
        return all(int(token) in self.constants for token in _TOKEN.findall(text))


_NARROW_OR_WIDE = frozenset({torch.float64, torch.int8, torch.int16, torch.uint8, torch.uint16, torch.uint32})
_TOKEN = re.compile(r"@(\d+)@")
_TWICE = re.compile(r"(\.to\(tl\.\w+\))\1")  # the load and the operator both convert half precision
_ATOM = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?|\([^()]*\)|[\w.{}$]+(?:\((?:[^()]|\([^()]*\))*\))?(?:\.to\([\w.]+\))*")


def _is_argument(text: str, match: re.Match[str]) -> bool:
    """Whether the token is a whole argument of a call, which needs no parentheses."""
    before = text[: match.start()].rstrip()[-1:]
    after = text[match.end() :].lstrip()[:1]
    return before in ("(", ",") and after in (")", ",") and re.match(r"[\w.]+\(", text) is not None
