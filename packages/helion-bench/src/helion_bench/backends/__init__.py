"""Who computes an operation: one backend a file, found by entry points of the group `helion_bench.backends`.

Enters: a case and its operation. Leaves: a function of the inputs, or the reason why there is none. Nothing here knows
how times are taken.
"""
