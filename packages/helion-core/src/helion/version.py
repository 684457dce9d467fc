"""The version of this package."""

from __future__ import annotations


def version() -> str:
    from importlib import metadata

    try:
        return metadata.version("helion-core")
    except metadata.PackageNotFoundError:  # running from a source tree that is not installed
        return "0.0.0"
