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


def _canonical(node: object) -> str:
    """A syntax tree as text. Empty fields are left out: later Pythons add fields that earlier ones do not have."""
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"Raise({_canonical(node.exc.func)})"  # which error, not its words
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, _BLOCKS) and value and _is_docstring(value[0]):
            value = value[1:]
        if (
            value in (None, [])
            and not isinstance(node, ast.Constant)
            or name in ("kind", "type_comment", "type_ignores")
        ):
            continue
        fields.append(f"{name}={_canonical(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


class _WithoutTypes(ast.NodeTransformer):
    """Takes away annotations that compute nothing. Those in a class's body stay: dataclasses read them."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [part if isinstance(part, ast.AnnAssign) else self.visit(part) for part in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node


@cache
def module_digest(module: str) -> str:
    """Twelve hexadecimal digits that change with what the module computes and not with its comments, docstrings or types."""
    # A tree of its own, as it is changed; a copy of the one that is kept takes four times as long.
    tree = ast.parse(_source(module).read_text(encoding="utf-8"))
    return hashlib.sha256(_canonical(_WithoutTypes().visit(tree)).encode()).hexdigest()[:12]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """The full name behind `from X import` in `module`, relative forms resolved."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if _source(module).name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join(base + ([node.module] if node.module else []))


def _resolve(module: str, name: str) -> str:
    """The module that `from module import name` draws on: a submodule, the one an index re-exports from, or `module` itself."""
    if _file(f"{module}.{name}"):
        return f"{module}.{name}"
    if _source(module).name == "__init__.py":
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.ImportFrom):
                source = _absolute(module, node)
                if any((alias.asname or alias.name) == name for alias in node.names) and _file(source):
                    original = next(a.name for a in node.names if (a.asname or a.name) == name)
                    return _resolve(source, original)
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
