"""Explaining: a bound kernel, a target and a config enter; what is known of them without running leaves.

`work.py` counts bytes and operations of the program, `gpus.py` knows what GPUs can do, `roofline.py` and `occupancy.py`
put the two together, `report.py` gathers all of it, `show.py` prints it.
"""
