"""Digests of the code behind a result, so that a change of it is noticed and a comment is not.

A module's digest is taken over its syntax tree without docstrings, positions, comments, the texts of errors and the types of functions
and variables, in a form that does not depend on Python's version. What a stage depends on is found by following imports from its entry
modules through our own packages; a name imported from a package leads to the module that defines it, so a package's index drags in
nothing that is not used.
"""

import ast
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from workflow.support.files import ROOT

PACKAGES = ("effconv", "baselines", "workflow")
_BLOCKS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_NO_CODE = ("kind", "type_comment", "type_ignores")  # fields of any node
_TYPES = ((ast.FunctionDef, "returns"), (ast.arg, "annotation"))


def _file(module: str) -> Path | None:
    """The source of one of our modules; None for anything else."""
    if module.split(".")[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _source(module: str) -> Path:
    """The source of a module that is ours."""
    path = _file(module)
    if path is None:
        raise ValueError(f"'{module}' is no module of {', '.join(PACKAGES)}: correct the entry.")
    return path


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module).read_text(encoding="utf-8"))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _canonical(node: object, *, of_class: bool = False) -> str:
    """A syntax tree as text. Empty fields are left out: later Pythons add fields that earlier ones do not have.

    Annotations are left out where they compute nothing; those of a class's body (`of_class`) stay: dataclasses read them.
    """
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item, of_class=of_class) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    kind = type(node)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"Raise({_canonical(node.exc.func)})"  # which error, not its words
    if isinstance(node, ast.AnnAssign) and not of_class:
        return f"Assign(targets=[{_canonical(node.target)}],value={_canonical(node.value)})"
    fields = []
    for name in node._fields:
        value, classes_own = getattr(node, name, None), kind is ast.ClassDef and name == "body"
        if isinstance(value, list) and not classes_own:
            value = [item for item in value if not (isinstance(item, ast.AnnAssign) and item.value is None)]
        if name == "body" and isinstance(node, _BLOCKS) and value and _is_docstring(value[0]):
            value = value[1:]
        if (value is None or value == []) and kind is not ast.Constant or name in _NO_CODE or (kind, name) in _TYPES:
            continue
        fields.append(f"{name}={_canonical(value, of_class=classes_own)}")
    return f"{kind.__name__}({','.join(fields)})"


@cache
def module_digest(module: str) -> str:
    """Twelve hexadecimal digits that change with what the module computes and not with its comments, docstrings or types."""
    return hashlib.sha256(_canonical(_tree(module)).encode()).hexdigest()[:12]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """The full name behind `from X import` in `module`, relative forms resolved."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if _source(module).name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join(base + ([node.module] if node.module else []))


@cache
def _exports(package: str) -> dict[str, tuple[str, str]]:
    """What a package's index re-exports: name -> (module, name there)."""
    return {
        alias.asname or alias.name: (source, alias.name)
        for node in ast.walk(_tree(package))
        if isinstance(node, ast.ImportFrom) and _file(source := _absolute(package, node))
        for alias in node.names
    }


def _resolve(module: str, name: str) -> str:
    """The module that `from module import name` draws on: a submodule, the one an index re-exports from, or `module` itself."""
    if _file(f"{module}.{name}"):
        return f"{module}.{name}"
    if _source(module).name == "__init__.py" and name in _exports(module):
        return _resolve(*_exports(module)[name])
    return module


@cache
def _imports(module: str) -> frozenset[str]:
    """Our modules that `module` names in an import anywhere, those inside functions included."""
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if _file(alias.name))
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            if source and _file(source):
                found.update(_resolve(source, alias.name) for alias in node.names)
    return frozenset(found)


def code_digests(entries: Iterable[str], *, within: Sequence[str]) -> dict[str, str]:
    """Digest of each module reached from the entry modules, entries included, by name.

    Imports out of the packages `within` are not followed.
    """
    waiting, seen = list(entries), set()
    while waiting:
        module = waiting.pop()
        if module in seen or not any(f"{module}.".startswith(f"{package}.") for package in within):
            continue
        seen.add(module)
        waiting.extend(_imports(module))
    return {module: module_digest(module) for module in sorted(seen)}


def text_digest(text: str) -> str:
    """Twelve hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
