"""The one exception for what a user can put right."""


class UserError(Exception):
    """A mistake in the configuration, the data or the machine: one sentence that names the key or path and the next step."""


def one_line(error: BaseException) -> str:
    """What any exception says, on one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
