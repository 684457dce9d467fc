"""From a `Program` and a config to readable Triton source and the host function that launches it.

Enters: a `Program` and a normalised `Config`. Leaves: the text of a module that runs with torch and triton alone. No
torch operator runs here; one emission takes a few milliseconds at most.
"""
