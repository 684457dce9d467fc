"""`python -m helion`: one module for each command; `files.py` and `arguments.py` read what they are given.

A command is a module with `add(commands)`, which declares its options, and `run(options)`, which returns the exit
status.
"""
