"""Spaces to JSON and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helion_autotune.errors import InvalidParameter
from helion_autotune.space.choices import Boolean, Enum, Fixed
from helion_autotune.space.constraints import Forbid, ProductAtMost
from helion_autotune.space.list_of import ListOf
from helion_autotune.space.numbers import Integer, PowerOfTwo
from helion_autotune.space.or_none import OrNone
from helion_autotune.space.permutation import Permutation

if TYPE_CHECKING:
    from helion_autotune.space.constraints import Constraint
    from helion_autotune.space.parameter import Parameter

_PARAMETERS = {cls.kind: cls for cls in (PowerOfTwo, Integer, Enum, Boolean, Fixed, OrNone, Permutation, ListOf)}


def parameter_from_json(data: dict[str, Any]) -> Parameter:
    """Read what ``Parameter.to_json`` wrote; raises InvalidParameter for an unknown kind."""
    fields = dict(data)
    cls = _PARAMETERS.get(fields.pop("kind", None))
    if cls is None:
        raise InvalidParameter(f"unknown kind of parameter in {data!r}; known: {', '.join(_PARAMETERS)}")
    if cls is ListOf:
        fields["entries"] = [parameter_from_json(e) for e in fields["entries"]]
    if cls is OrNone:
        fields["inner"] = parameter_from_json(fields["inner"])
    return cls(**fields)


def constraint_from_json(data: dict[str, Any]) -> Constraint:
    """Read what a named constraint's ``to_json`` wrote."""
    if data.get("kind") == ProductAtMost.kind:
        return ProductAtMost(tuple(data["keys"]), data["limit"])
    if data.get("kind") == Forbid.kind:
        return Forbid(data["values"])
    raise InvalidParameter(f"unknown kind of constraint in {data!r}")
