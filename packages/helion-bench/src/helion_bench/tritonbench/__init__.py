"""tritonbench's operators: its inputs and its baselines, with our functions registered among them.

Enters: a checkout of tritonbench. Leaves: cells. Importing and running it changes global state (seeds, loggers, torch
itself), so all of it happens in a process of its own, in `driver`; nothing else here imports it.
"""
