"""Runs that were never measured, for tests of what reads runs; plug-ins may use them too."""
