"""The options of a search and their choices, read from its method's code: a mistake is found before a job starts. Torch-free."""

import ast
from collections.abc import Mapping
from functools import cache

from workflow.protocol.search_methods import DEFAULT, METHODS
from workflow.support.errors import UserError
from workflow.support.files import ROOT
from workflow.support.nearest import advice

TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@cache
def _defined(module: str, name: str) -> tuple[str, ast.AST]:
    """The class, or the value, that a module gives a name, and the module that it is written in."""
    folder = ROOT.joinpath(*module.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            return module, node.value
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _defined(node.module, alias.name)
    raise LookupError(f"{module} has no {name}")


@cache
def _fields(module: str, name: str) -> dict[str, str]:
    """The fields of a class and of those that it extends, with their types as they are written."""
    where, definition = _defined(module, name)
    found: dict[str, str] = {}
    if isinstance(definition, ast.ClassDef):
        for base in definition.bases:
            found |= _fields(where, ast.unparse(base))
        for node in definition.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = ast.unparse(node.annotation)
    return found


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    """The options of EffConv's search that take one of a few words."""
    where, table = _defined("effconv.options", "CHOICES")
    found = {}
    if isinstance(table, ast.Dict):
        for key, value in zip(table.keys, table.values, strict=True):
            # MODULE.NAME, or NAME of the same module
            owner = f"effconv.{ast.unparse(value.value)}" if isinstance(value, ast.Attribute) else where
            _, words = _defined(owner, ast.unparse(value).rpartition(".")[2])
            found[ast.literal_eval(key) if key else ""] = ast.literal_eval(ast.unparse(words))
    return found


def check(options: Mapping[str, object], method: str, where: str) -> None:
    """A UserError for an option that a method does not have, or a value that it cannot take."""
    module, _, name = METHODS[method]
    effconv, _, plain = METHODS[DEFAULT]
    known = {**_fields(effconv, plain), **_fields(module, name)}  # those of EffConv are given to every method
    for option, value in options.items():
        if option not in known:
            meant = advice(option, known, f"its options are {', '.join(known)}.")
            raise UserError(f"{where}: '{option}' is no option of the search method '{method}'; {meant}")
        choices, kind = _choices().get(option), known[option]
        if choices and value not in choices:
            raise UserError(f"{where}: '{option}' is {value!r}, but must be one of {', '.join(choices)}: correct it.")
        if kind in TYPES and not (isinstance(value, TYPES[kind]) and isinstance(value, bool) is (kind == "bool")):
            raise UserError(f"{where}: '{option}' is {value!r}, but must be of type {kind}: correct it.")
