"""Executors beyond this machine: whatever has the ``concurrent.futures`` interface serves; some help in making one."""
