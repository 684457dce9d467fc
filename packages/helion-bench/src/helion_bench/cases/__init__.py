"""What is benchmarked: one operation a file, found by entry points of the group `helion_bench.cases`.

Enters: names of operations, sizes, dtypes. Leaves: `Operation` objects that make inputs, know the true result in
float64, and count floating-point operations and bytes. Nothing here knows who computes an operation, or how fast.
"""
