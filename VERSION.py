"""The one version of every package of this repository; `tools/set_version.py` changes it and the pins together."""

__version__ = "0.1.0.dev0"
