"""The layers: effconv imports nothing of ours, baselines only effconv, workflow both; what Snakemake parses imports no torch."""

import ast

import pytest

ALLOWED = {
    "effconv": {"effconv"},
    "baselines": {"baselines", "effconv"},
    "workflow": {"workflow", "baselines", "effconv"},
}
TORCH_FREE = (
    "workflow/__init__.py", "workflow/config.py", "workflow/plan.py", "workflow/records.py", "workflow/digests.py",
    "workflow/recipes.py", "workflow/datasets.py", "workflow/files.py", "workflow/errors.py", "baselines/__init__.py",
    "baselines/registry.py", "workflow/authors_recipes.py", "workflow/catalogue.py",
    "workflow/packing.py", "workflow/devices.py",
    "workflow/primer/record.py", "workflow/primer/statement.py", "workflow/primer/effort.py",
)  # fmt: skip


def imported(tree, *, inside_functions=True):
    nodes = ast.walk(tree) if inside_functions else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("layer", ALLOWED)
def test_imports_go_downwards_only(root, layer):
    for path in (root / layer).rglob("*.py"):
        ours = set(imported(ast.parse(path.read_text()))) & set(ALLOWED)
        assert ours <= ALLOWED[layer], f"{path.relative_to(root)} imports {ours - ALLOWED[layer]}"


@pytest.mark.parametrize("name", TORCH_FREE)
def test_what_the_snakefile_imports_is_free_of_heavy_packages(root, name):
    heavy = {"torch", "torchvision", "timm", "pandas", "matplotlib", "scipy"}
    found = set(imported(ast.parse((root / name).read_text()), inside_functions=False)) & heavy
    assert not found, f"{name} imports {found} when it is imported"
