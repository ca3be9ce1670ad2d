"""What makes the primitives fast, and nothing else: each plain form stands in its public file."""
