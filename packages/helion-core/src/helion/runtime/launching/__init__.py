"""From arguments to a launch: types, tensor descriptors, and functions written for one compiled kernel."""
