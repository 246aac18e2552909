"""The one training engine: every number of the suite comes from `search`, `train` or `measure`.

Importing it imports torch; what needs only names and plans imports `workflow.recipes` and `workflow.plan`.
"""

from workflow.engine.errors import NonFinite, OutOfTime
from workflow.engine.measure import measure
from workflow.engine.search import search
from workflow.engine.train import train

__all__ = ["NonFinite", "OutOfTime", "measure", "search", "train"]
