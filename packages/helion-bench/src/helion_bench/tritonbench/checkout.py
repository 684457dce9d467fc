"""Where tritonbench is, and how to get it where it is not. It is in no package registry."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import InvalidRequest

PINNED = "db2155c807755c19f5d98c64917ec897f24061f3"
"""The commit that the adapter was written against, of 2025-08-15."""

HINT = (
    "git clone https://github.com/meta-pytorch/tritonbench && "
    f"git -C tritonbench checkout {PINNED[:12]} && pip install psutil tabulate numpy, then --tritonbench tritonbench"
)


def locate(path: str | None) -> Path | None:
    """The folder that has the package `tritonbench`: in `path`, or the installed one; None if there is none.

    Raises InvalidRequest for a `path` that is no checkout.
    """
    if path is not None:
        root = Path(path).expanduser().resolve()
        if not (root / "tritonbench" / "operators").is_dir():
            raise InvalidRequest(f"{path} is no checkout of tritonbench; get one with: {HINT}")
        return root
    found = importlib.util.find_spec("tritonbench")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations))).parent


def why_not(path: str | None) -> str | None:
    """Why tritonbench cannot be driven, with the way to get it, or None."""
    return None if locate(path) is not None else f"not here; {HINT}"
