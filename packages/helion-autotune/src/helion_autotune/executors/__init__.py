"""Executors beyond this machine: anything with the ``concurrent.futures`` interface serves; here is help in making one."""
