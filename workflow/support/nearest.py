"""What a name that is not known may have been meant for."""

import difflib
from collections.abc import Iterable


def advice(name: object, names: Iterable[str], otherwise: str) -> str:
    """The end of a sentence on an unknown name: the nearest of `names`, or `otherwise` where none is near."""
    close = difflib.get_close_matches(str(name), list(names), n=1)
    return f"did you mean '{close[0]}'?" if close else otherwise
