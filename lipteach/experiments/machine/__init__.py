"""What runs experiments: a grid of cells, checkpoints, records, and the command line."""
