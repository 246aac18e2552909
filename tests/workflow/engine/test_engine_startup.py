"""What a process sets up and puts back: no compiler, the bare update of an optimiser, the switches of a precision."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

STARTS = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
import baselines, conftest
from workflow import engine
baselines.build = conftest.tiny_system
data, folder = conftest.made_up(), Path(sys.argv[1])
for name in ("resnet_sgd", "flexconv_adam"):
    run = conftest.a_run(train=dict(recipe=name))
    sizes = engine.search(run, data, folder / name, digest="d")["sizes"]
    engine.train(run, data, folder / name, kernel_sizes=sizes, digest="d")
engine.measure(run, data, kernel_sizes=sizes, slices=1, slice_seconds=0.01)
print("imported:", *sorted({{"torch._dynamo", "sympy"}} & set(sys.modules)))
"""


@pytest.mark.slow
def test_no_process_waits_for_the_compilers_import(tmp_path, root):
    code = STARTS.format(here=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "imported:", done.stdout + done.stderr


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_the_bare_update_is_the_optimisers_step(kind):
    from workflow.engine.process_settings import update_of

    parameters = [torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2)]
    plain, bare = (kind([p], lr=0.1, weight_decay=0.1, fused=True) for p in parameters)
    update = update_of(bare)
    for number in range(3):
        for p in parameters:
            p.grad = torch.full((3,), float(number + 1))
        plain.step()
        with torch.no_grad():
            update()
    assert torch.equal(*parameters)


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_the_switches_of_a_precision_are_put_back(precision, tf32):
    from workflow.engine.precision import backend

    cudnn = torch.backends.cudnn
    settings = lambda: (
        torch.backends.cuda.matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision,
        cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    before, wanted = settings(), "tf32" if tf32 else "ieee"
    with backend(precision, torch.device("cuda")):
        assert settings() == (wanted, wanted, wanted, True, False, False)
    with backend(precision, torch.device("cuda"), deterministic=True):
        assert settings() == (wanted, wanted, wanted, False, True, True)
    assert settings() == before
