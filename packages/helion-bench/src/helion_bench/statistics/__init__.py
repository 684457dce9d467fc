"""Statistics of benchmarks as pure functions of numbers; numpy is all they need.

Enters: latencies and ratios. Leaves: intervals, p-values, verdicts. Nothing here knows of runs, files or GPUs.

scipy has some of these, but importing its statistics takes longer than a whole comparison, and it has neither the
interval of the Hodges-Lehmann ratio nor the drift between two runs; what is here is a few lines each and is tested
against enumeration and against scipy's figures.
"""
