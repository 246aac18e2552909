"""The layers, and the rooms of workflow/, by the imports themselves: downwards only; what Snakemake parses imports no torch."""

import ast
import graphlib
import re
import subprocess
import sys

import pytest

LAYERS = ("effconv", "baselines", "workflow")  # each may import those before it
HEAVY = {"torch", "torchvision", "timm", "pandas", "matplotlib", "scipy"}
# Parts of workflow/ that say who is below whom; the others have to fit in without a circle.
BELOW = (
    ("support", "protocol", "machine", "data", "engine", "jobs", "campaign", "__main__"),
    ("data", "plan", "records", "overview", "campaign", "__main__"),
    ("records", "report", "primer", "__main__"),
)


@pytest.fixture(scope="module")
def modules(root):
    """Our modules by name -> (path, syntax tree)."""
    paths = [path for layer in LAYERS for path in (root / layer).rglob("*.py")]
    names = [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return {name: (path, ast.parse(path.read_text())) for name, path in zip(names, paths, strict=True)}


def at_import(tree):
    """The nodes that are run when a module is imported: all but functions and what is for type checkers."""
    for node in ast.iter_child_nodes(tree):
        checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not checked and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from at_import(node)


def imported(modules, name, nodes=ast.walk):
    """What a module imports: our modules by their full names, others by their first."""
    path, tree = modules[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes(tree):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            found = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]
        yield from (full if full in modules else full.split(".")[0] for full in found)


def order(graph):
    """A topological order; the circle, where there is one."""
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_layers_import_downwards_only(modules):
    for name in modules:
        above = LAYERS[LAYERS.index(name.split(".")[0]) + 1 :]
        upwards = [found for found in imported(modules, name) if found.split(".")[0] in above]
        assert not upwards, f"{name} imports {upwards}"


def test_rooms_of_the_workflow_import_downwards_only(modules):
    """Imports inside functions count: a room is below another or it is not."""
    arrows = {}
    for name in (name for name in modules if name.startswith("workflow.")):
        for found in imported(modules, name):
            if found.startswith("workflow.") and found.split(".")[1] != name.split(".")[1]:
                arrows.setdefault(name.split(".")[1], {}).setdefault(found.split(".")[1], f"{name} imports {found}")
    assert set(arrows) | set().union(*arrows.values()) >= {room for chain in BELOW for room in chain}
    order(arrows)
    for chain in BELOW:
        for place, room in enumerate(chain):
            upwards = [why for found, why in arrows.get(room, {}).items() if found in chain[place + 1 :]]
            assert not upwards, upwards


def test_no_module_is_needed_to_import_itself(modules):
    order({name: {found for found in imported(modules, name, at_import) if found != name} for name in modules})


def test_what_the_snakefile_imports_is_free_of_heavy_packages(modules, root):
    text = "".join(path.read_text() for path in (root / "Snakefile", *(root / "workflow/rules").glob("*.smk")))
    lines = "\n".join(re.findall(r"^(?:from|import) .+$", text, re.M))  # the rest is Snakemake's own language
    modules = {**modules, "snakefile": (root / "Snakefile", ast.parse(lines))}
    waiting, seen = [("snakefile", "snakemake")], set()
    while waiting:
        name, by = waiting.pop()
        assert name not in HEAVY, f"{by} imports {name}"
        if name in modules and name not in seen:
            seen.add(name)
            waiting += [(found, name) for found in imported(modules, name, at_import)]
            waiting += [(name.rpartition(".")[0], name)]  # a package's index comes with its modules
    assert {"workflow.plan.make", "workflow.protocol.recipes", "baselines"} <= seen


def test_nothing_of_the_report_imports_torch(root):
    code = (
        "import sys, workflow.report.page.page, workflow.report.products, workflow.primer.chapter\n"
        "assert not {'torch', 'matplotlib.pyplot', 'matplotlib.figure', 'scipy.stats', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
