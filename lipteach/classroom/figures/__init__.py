"""The figures of the lessons, one module each: pure functions from parameters to a Figure."""
