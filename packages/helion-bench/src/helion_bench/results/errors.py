"""What can be wrong with stored results."""

from __future__ import annotations


class ResultsError(Exception):
    """A stored run cannot be found, read or written; the message says which, and what to do."""
