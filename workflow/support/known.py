"""Values that may be missing by their type and are there by what came before."""

from typing import TypeVar

Value = TypeVar("Value")


def known(value: Value | None) -> Value:
    """The value. Raises ValueError where it is missing after all."""
    if value is None:
        raise ValueError("a value is missing that was taken for known.")
    return value
