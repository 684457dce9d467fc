"""From a user's function to plain Python whose control flow calls us back.

Enters: a Python function. Leaves: an equivalent function in which `for`, `while`, `if`, ternaries and `and/or/not` call
the runtime in `control`, so that tracing sees device loops and branches. Everything else stays ordinary Python.
"""
