"""What can be chosen: parameters, and the space that they and their constraints span.

In: limits declared by the client. Out: plain points (``dict[str, JSON value]``), their neighbours, and vectors for
models.
"""

from __future__ import annotations

from helion_autotune.space.choices import Boolean, Enum, Fixed
from helion_autotune.space.constraints import Constraint, Forbid, ProductAtMost
from helion_autotune.space.list_of import ListOf
from helion_autotune.space.numbers import Integer, PowerOfTwo
from helion_autotune.space.or_none import OrNone
from helion_autotune.space.parameter import Parameter
from helion_autotune.space.permutation import Permutation
from helion_autotune.space.search_space import SearchSpace

__all__ = [
    "Boolean",
    "Constraint",
    "Enum",
    "Fixed",
    "Forbid",
    "Integer",
    "ListOf",
    "OrNone",
    "Parameter",
    "Permutation",
    "PowerOfTwo",
    "ProductAtMost",
    "SearchSpace",
]
