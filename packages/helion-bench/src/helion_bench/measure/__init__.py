"""How times are taken.

Enters: functions to call, and a `Device` to call them on. Leaves: microseconds by round. `rounds`, `throttle` and
`sampler` are plain arithmetic over what a device reports, so they are tested without one; `cuda` is the device.
"""
