"""What the trace decided at each place of the program, for running the same program as plain PyTorch."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass
class Places:
    """Decisions by place (`location.site()`), in the order in which they were made there.

    `blocks`: block size numbers that a loop got. `products`: whether index vectors of one subscript form a product
    (else they broadcast). `rows`: block sizes of tiles whose rows have different lengths.
    """

    blocks: dict[Hashable, list[int]] = field(default_factory=dict)
    products: dict[Hashable, list[bool]] = field(default_factory=dict)
    rows: frozenset[int] = frozenset()
