"""environment.yml, pyproject.toml and requirements.txt say the same, and nothing that ties them to one machine."""

import re
import tomllib

import yaml

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}


def _requirements(root):
    return (root / "requirements.txt").read_text()


def _project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def _suite(root, *, tools=()):
    """What the suite needs, by name, with its lower bound: the library's dependencies and the extras that "suite" leads to."""
    project = _project(root)
    waiting, entries = ["suite", *tools], list(project["dependencies"])
    while waiting:
        for entry in project["optional-dependencies"][waiting.pop()]:
            extras = re.fullmatch(rf"{project['name']}\[(.*)\]", entry)
            waiting += extras[1].split(",") if extras else []
            entries += [] if extras else [entry]
    return dict(entry.split(">=") for entry in entries)


def test_conda_lists_every_dependency_with_the_same_lower_bound(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = dict(entry.replace(" ", "").split(">=") for entry in environment["dependencies"])
    assert conda.pop("python") == _project(root)["requires-python"].removeprefix(">=")
    assert conda == {CONDA_NAMES.get(name, name): bound for name, bound in _suite(root).items()}


def test_conda_has_no_pip_section_and_bounds_torch(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert all(isinstance(entry, str) for entry in environment["dependencies"])
    bounded = [entry.split()[0] for entry in environment["dependencies"] if ">=" in entry]
    assert {"pytorch", "torchvision"} <= set(bounded)


def test_requirements_lock_every_dependency_with_hashes(root):
    text = _requirements(root)
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))
    wanted = _suite(root, tools=["dev"])
    assert {"torch", "timm", "matplotlib", "snakemake", "ruff"} <= wanted.keys()
    for name, bound in wanted.items():
        assert tuple(map(int, re.findall(r"\d+", pinned[name])[:2])) >= tuple(map(int, bound.split(".")[:2])), name
    lines = r"^[a-z0-9][\w.-]*==\S+(?: ; [^\\\n]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)"
    locked = re.findall(lines, text, re.M | re.I)
    assert len(locked) == len(re.findall(r"^[a-z0-9][\w.-]*==", text, re.M | re.I)) > 50


def test_no_index_address_is_committed(root):
    for name in ("requirements.txt", "pyproject.toml", "environment.yml", "Makefile"):
        text = (root / name).read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|https?://", text), name


def test_every_rule_names_the_environment(root):
    for path in (root / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^\s*rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            assert "shell:" not in rule or "ENVIRONMENT" in rule, f"{path.name}: {rule.splitlines()[0]}"
