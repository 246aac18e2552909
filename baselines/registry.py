"""Systems by name: a function `@system def NAME(*, in_channels, num_classes, image_size, ...)` anywhere in this folder is one.

One function may build several: `@systems(NAME={...}, OTHER={...})` says which of its arguments each name fixes. Names are found by
parsing the files, so that listing them costs milliseconds and imports nothing (no torch, no timm); building a system imports the one
module that holds it.
"""

import ast
import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

F = TypeVar("F", bound=Callable)
FOLDER = Path(__file__).parent
GEOMETRY = ("in_channels", "num_classes", "image_size")


_BUILDERS: dict[str, tuple[Callable, dict[str, Any]]] = {}  # of the modules imported so far: function, fixed arguments


def system(function: F) -> F:
    """Mark a function that builds a system under its own name; every argument must be keyword-only."""
    _BUILDERS[function.__name__] = (function, {})
    return function


def systems(**variants: dict[str, Any]) -> Callable[[F], F]:
    """Mark a function that builds several systems: name -> the keyword arguments that are fixed for it."""

    def mark(function: F) -> F:
        _BUILDERS.update({name: (function, fixed) for name, fixed in variants.items()})
        return function

    return mark


def _marked(function: ast.FunctionDef) -> Iterator[str]:
    """Names of the systems that a function's decorators declare."""
    for mark in function.decorator_list:
        if isinstance(mark, ast.Name) and mark.id == "system":
            yield function.name
        elif isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "systems":
            yield from (keyword.arg for keyword in mark.keywords if keyword.arg)


def _systems_of(path: Path) -> list[str]:
    """Names of the systems that a file declares, in the file's order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [name for node in tree.body if isinstance(node, ast.FunctionDef) for name in _marked(node)]


@cache
def _index() -> dict[str, str]:
    """Name -> module, of every system in this folder."""
    index: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.py")):
        for name in _systems_of(path):
            module = f"{__package__}.{path.stem}"
            if name in index:
                raise ValueError(f"system '{name}' is defined in both {index[name]} and {module}: rename one of them.")
            index[name] = module
    return index


def names() -> list[str]:
    """Every system that `build` knows, sorted."""
    return sorted(_index())


def module_of(name: str) -> str:
    """The full name of the module that holds a system, e.g. "baselines.resnets".

    Raises ValueError, with the nearest names, for a system that does not exist.
    """
    index = _index()
    if name not in index:
        close = difflib.get_close_matches(name, index, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(sorted(index))}."
        raise ValueError(f"there is no system '{name}': {hint}")
    return index[name]


def build(name: str, *, in_channels: int, num_classes: int, image_size: int, **arguments: Any) -> "nn.Module":
    """Build a system, initialised from torch's global generator.

    Args:
        name: one of `names()`.
        in_channels: channels of the images.
        num_classes: length of the output.
        image_size: side of the square images, in pixels.
        arguments: what this system takes besides, e.g. `kernel_sizes` of `cifar_resnet20`.

    Raises:
        ValueError: for an unknown name, an argument that the system does not take, or a value that it refuses.
    """
    importlib.import_module(module_of(name))
    function, fixed = _BUILDERS[name]
    taken = [key for key in inspect.signature(function).parameters if key not in GEOMETRY and key not in fixed]
    if unknown := [key for key in arguments if key not in taken]:
        known = f"it takes {', '.join(taken)}" if taken else "it takes none"
        raise ValueError(f"system '{name}' has no argument '{unknown[0]}': {known}.")
    return function(in_channels=in_channels, num_classes=num_classes, image_size=image_size, **fixed, **arguments)
