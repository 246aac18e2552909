"""Names of rows, runs and jobs."""

import re

from workflow.support.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")


def inside(name: str) -> str:
    """A name from a plan, as a part of a path: UserError where it could lead out of the folder it belongs to."""
    if not _NAME.fullmatch(name):
        raise UserError(f"the plan has the name {name!r}, which is none of a run, row or job: make the plan again.")
    return name


def row_of(run: dict) -> str:
    """`dataset/row` of a run or a timing record: the name of what is compared, one line of a table."""
    return f"{run['dataset']}/{run['row']}"
