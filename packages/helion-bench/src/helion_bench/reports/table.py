"""A table as every report shows it: text with a tone, no layout."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tone(str, Enum):
    """What a reader should take from a value; each report has its own way to show it."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    DIM = "dim"
    STRONG = "strong"


@dataclass(frozen=True)
class Text:
    """The content of one cell."""

    text: str
    tone: Tone = Tone.PLAIN


EMPTY = Text("–", Tone.DIM)


_PROSE = frozenset({"reason", "state", "here", "what", "shapes"})
_WORDS = _PROSE | {"backend", "best peer", "best peers"}


@dataclass(frozen=True)
class Table:
    """Rows of as many texts as there are headers. The first `labels` columns are text, the others figures.

    Columns in which no row has anything are left out when made with `of`.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    labels: int = 1

    def is_text(self, column: int) -> bool:
        """Whether a column holds words rather than figures."""
        return column < self.labels or self.headers[column] in _WORDS

    def is_prose(self, column: int) -> bool:
        """Whether a column may hold sentences, which are broken where there is no room."""
        return self.headers[column] in _PROSE

    @classmethod
    def of(cls, title: str, headers: list[str], rows: list[list[Text]], labels: int = 1) -> Table:
        kept = [i for i in range(len(headers)) if i < labels or any(row[i] != EMPTY for row in rows)]
        return cls(
            title,
            tuple(headers[i] for i in kept),
            tuple(tuple(row[i] for i in kept) for row in rows),
            labels,
        )
