"""Which specialisation a call belongs to: keys, captured values, and recognising a call like one before."""
