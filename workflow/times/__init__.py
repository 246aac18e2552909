"""Seconds per epoch of the paper's rows without a data set: `python -m workflow times`."""
