"""Data sets, from their official files to memory-mapped arrays with a manifest. Importing this loads no torch."""

from workflow.data.preparation import prepare
from workflow.data.prepared import Prepared, Split, load, verify

__all__ = ["Prepared", "Split", "load", "prepare", "verify"]
