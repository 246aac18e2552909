"""Processes that we start: where they find our packages, and that they end with us."""

import ctypes
import os
import signal

from workflow.support.files import ROOT


def environment(**more: str) -> dict[str, str]:
    """This process's, with our packages to be found from any folder, and `more` variables."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def die_with_parent() -> None:
    """In a child, before exec or first thing: SIGKILL when its parent ends, however it ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
