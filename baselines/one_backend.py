"""A network whose layers know several ways to convolve: all of them take the same one."""

from collections.abc import Sequence
from typing import Any


class OneBackend:
    """For a module with `layers()`, each with an attribute `backend`."""

    def layers(self) -> Sequence[Any]:
        """The layers, in forward order."""
        raise NotImplementedError

    @property
    def backend(self) -> str:
        """How the layers convolve; setting it changes all of them."""
        return self.layers()[0].backend

    @backend.setter
    def backend(self, name: str) -> None:
        for layer in self.layers():
            layer.backend = name

    @property
    def timed_backends(self) -> tuple[str, ...]:
        """What the timing stage times: the published convolution, then the fastest; "auto" alone where that is asked for."""
        return {"direct": ("direct", "auto"), "fft": ("direct", "fft")}.get(self.backend, (self.backend,))
