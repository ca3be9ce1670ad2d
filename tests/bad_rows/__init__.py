"""Bad input, room by room: each module yields (callable, arguments, error, part of its message)."""
