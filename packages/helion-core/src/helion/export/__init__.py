"""Exporting: a bound kernel enters; a folder leaves that runs with Python and torch alone.

`exporting.py` puts the folder together, `binaries.py` compiles, `host.py` writes the host code, `folder.py` puts files
on disk in one step. `loader.py` is no part of the compiler: it is copied into the folder and runs there.
"""

from __future__ import annotations

from .exporting import export

__all__ = ["export"]
