"""The one exception for what a user can put right."""


class UserError(Exception):
    """A mistake in the configuration, the data or the machine: one sentence that names the key or path and the next step."""
