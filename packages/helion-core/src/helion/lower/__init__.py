"""From a `Program` to what emission needs: pointwise templates, padding facts, physical sizes, the search space.

Enters: a `Program` (and, for most parts, a config). Nothing here prints a kernel; `emit` does.
"""
