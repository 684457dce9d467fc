"""Generated kernels compiled and loaded, and found again by later processes."""
