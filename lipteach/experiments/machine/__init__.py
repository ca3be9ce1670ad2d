"""What runs experiments, cell by cell (grid), and is asked by the command line.

An `Experiment` and the list of them stand in catalogue; `Run`, which saves a training, in
checkpoints; what a record holds in records, whole files and `RunError` in files, where and when
in provenance.
"""
