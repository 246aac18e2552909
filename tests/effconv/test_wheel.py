"""The library as pip installs it: a wheel with effconv/ alone, at work where only torch and what torch needs can be imported."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

import effconv


def version(package):
    """Of an installed package, without importing it (setuptools patches the standard library); 0 where it is not there."""
    try:
        return int(importlib.metadata.version(package).split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


pytestmark = pytest.mark.skipif(not version("pip") or version("setuptools") < 77, reason="needs pip and setuptools 77")

LEARN = """
import torch
from torch import nn
import effconv

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
)
batches = [(torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]))] * 3
learned = effconv.learn_kernel_sizes(model, batches, parameters=700, epochs=1, lr_size_predictor=0.05)
assert sum(p.numel() for p in learned.apply(model).parameters()) == learned.parameters
print(learned, learned.against_budget_only(), sep="\\n")
print(effconv.__version__, effconv.__file__)
"""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source") / "suite", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("effconv", "baselines", "workflow", "config"):  # with what must not get in
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(root / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", out, "."], cwd=source, check=True, env=clean_environment())
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", target, wheel]
    subprocess.run(command, check=True, env=clean_environment())
    return target


def clean_environment(**more):
    return {**{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}, **more}


def requirements(package, found=()):
    """The installed distributions that a package needs, itself included."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return dict(found)
    found = {**dict(found), package.lower(): distribution}
    for entry in distribution.requires or []:
        name = re.match("[A-Za-z0-9._-]+", entry)[0].lower()
        if "extra ==" not in entry and name not in found:
            found = requirements(name, found)
    return found


@pytest.fixture(scope="module")
def only_torch(tmp_path_factory):
    """A folder of packages with torch and what it needs, as links."""
    folder = tmp_path_factory.mktemp("only_torch")
    for distribution in requirements("torch").values():
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))
    assert (folder / "torch").exists() and not (folder / "timm").exists() and not (folder / "matplotlib").exists()
    return folder


@pytest.fixture
def python(installed, only_torch, tmp_path):
    """Runs Python in an empty folder, with the installed library, torch, and nothing else."""
    environment = clean_environment(PYTHONPATH=f"{installed}{os.pathsep}{only_torch}", OMP_NUM_THREADS="1")
    command = [sys.executable, "-S", "-P", "-W", "ignore"]  # without site-packages and without the folder it runs in
    return lambda *words: subprocess.run(
        [*command, *words], cwd=tmp_path, capture_output=True, text=True, env=environment
    )


@pytest.mark.slow
def test_holds_the_library_alone(root, wheel):
    names = zipfile.ZipFile(wheel).namelist()
    code = {name for name in names if ".dist-info/" not in name}
    assert code == {f"effconv/{path.name}" for path in (root / "effconv").glob("*.py")} | {
        "effconv/py.typed", "effconv/README.md",
    }  # fmt: skip
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_needs_torch_and_offers_the_rest(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    required = metadata.get_all("Requires-Dist")
    assert [re.match("[a-z]+", entry)[0] for entry in required if "extra ==" not in entry] == ["torch"]
    assert set(metadata.get_all("Provides-Extra")) == {"timm", "draw", "suite", "dev"}
    assert metadata["Version"] == effconv.__version__ and metadata["License-Expression"] == "MIT"


@pytest.mark.slow
def test_learns_sizes_where_only_torch_is(python, installed):
    done = python("-c", LEARN)
    assert done.returncode == 0, done.stderr
    assert "kernel predictor: projected, 64 hidden units" in done.stdout and "Without images" in done.stdout
    assert done.stdout.split()[-2:] == [effconv.__version__, str(installed / "effconv" / "__init__.py")]


@pytest.mark.slow
def test_the_command_helps_and_says_what_it_lacks(python):
    done = python("-m", "effconv", "--help")
    assert done.returncode == 0 and "--parameters" in done.stdout, done.stderr
    done = python("-m", "effconv", "--data", "x", "--model", "resnet18", "--parameters", "9M", "--out", "sizes.json")
    assert (
        done.returncode == 2 and "pip install timm torchvision tqdm" in done.stderr and "Traceback" not in done.stderr
    )


def test_one_version(root):
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == effconv.__version__
