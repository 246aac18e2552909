"""Names of rows, runs and jobs as parts of paths."""

import re

from workflow.support.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")


def check_path(name: str) -> str:
    """A name from a plan, as a part of a path: UserError where it could lead out of the folder it belongs to."""
    if not _NAME.fullmatch(name):
        raise UserError(f"the plan has the name {name!r}, which is none of a run, row or job: make the plan again.")
    return name


def parts_of(place: str) -> tuple[str, str]:
    """`dataset/row` -> (data set, row)."""
    dataset, _, row = place.partition("/")
    return dataset, row
