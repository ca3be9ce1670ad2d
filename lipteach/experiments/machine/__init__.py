"""What runs experiments, cell by cell, and is asked by the command line.

An `Experiment` and the list of them stand in catalogue; `Run`, which saves a training, in
checkpoints; one cell in cell, all of them in grid, side by side in workers, on other machines by
scheduler, one run at a time by lock; the loop of a classifier in classifier, that of a generator
and a critic in adversarial, and what is told of these in sample_table; what a record holds in
records, the picture beside it in pictures, what is chosen among its cells in selection; whole and
checked files and `RunError` in files; where, when and by what code in provenance.
"""
