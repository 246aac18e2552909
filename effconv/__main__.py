"""`python -m effconv`: learn the kernel sizes of a timm model from a folder of images, or draw the trajectory of a search."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from effconv.budget import parse_count
from effconv.images import image_batches
from effconv.learn import learn_kernel_sizes
from effconv.learned import LearnedSizes
from effconv.options import CHOICES, SearchOptions
from effconv.search import KernelSizeSearch
from effconv.trajectory import draw_trajectory

EXAMPLE = "example: python -m effconv --data photos/ --model cifar_resnet20 --parameters 0.66M --out sizes.json"
HELP = {
    "kernel_predictor": "Eq. 5's GRU as printed, or with a hidden state of --hidden units and a linear map",
    "hidden": "units of the projected predictor; 0: 64, or as many as fit into memory",
    "kernel_order": "in which the positions of a kernel are made: row by row, or from the inside out",
    "size_predictor": "Eq. 1's GRU; one step of it; or no network, one free number a layer",
    "mask": "Eq. 6; by degrees; or none, a control in which the images do not reach the sizes",
    "mask_centre": "Eq. 7's c = v/2; (s+1)/2; or (v+1)/2",
    "final_sizes": "of the last step within 1%% of the budget, or of the last step",
    "budget_scope": "what the budget counts: the whole network, or the learned kernels",
    "budget_method": "Eq. 4; the same with a weight that adapts; or the budget met at every step",
    "odd_only": "a control: sizes 1, 3, 5, ... only",
    "even_padding": "where the extra row and column of even kernels are: right and bottom, or left and top",
    "lam": "weight of the budget's term (Eq. 8)",
    "k": "sizes lie between 1 and 2k + 1 (Eq. 2)",
    "tau": "Eq. 2's",
    "b": "Eq. 2's: where sizes start",
    "lr_size_predictor": "AdamW's learning rate of the size predictor",
    "lr_network": "of what remains of the network",
    "lr_kernel_predictor": "of the kernel predictors",
    "weight_decay": "AdamW's",
    "data_free": "a control: the images do not reach the sizes, only the budget does",
    "record_every": "steps between two entries of the trajectory",
}


def _count(text: str) -> int:
    try:
        return parse_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m effconv", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("--data", type=Path, metavar="FOLDER", help="images in one folder a class, directly or below train/")
    add("--model", metavar="NAME", help="cifar_resnet20, 26, ... 56, wrn28_1, or any model of timm")
    add("--parameters", type=_count, metavar="N", help="budget of the whole network, such as 0.66M")
    add("--macs", type=_count, metavar="N", help="budget of multiply-accumulates for one image, such as 80M")
    add("--out", type=Path, required=True, metavar="FILE", help="where the sizes go (JSON); with --draw, the figure")
    add(
        "--draw",
        type=Path,
        metavar="FILE",
        help="draw the trajectory of this search (JSON) to --out (.svg, .png) and stop",
    )
    add("--epochs", type=int, default=10, help="passes over the images (default 10, the paper's)")
    add("--batch-size", type=int, default=128, help="images a step (default 128)")
    add("--image-size", type=int, default=32, metavar="PIXELS", help="images are resized to this square (default 32)")
    add("--workers", type=int, default=0, help="processes that read images (default 0: this one)")
    add(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cuda, cpu (default: cuda where there is one)",
    )
    add("--seed", type=int, default=0, help="of the predictors and of the order of the images (default 0)")
    options = parser.add_argument_group("options of the search (choices that the paper leaves open, and its constants)")
    for name, default in SearchOptions().to_dict().items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            options.add_argument(flag, action="store_true", help=HELP[name])
        else:
            options.add_argument(
                flag,
                type=type(default),
                default=default,
                choices=CHOICES.get(name),
                help=f"{HELP[name]} (default {default})",
            )
    return parser


def _progress_bar(total: int) -> tuple[Any, Callable[[int, int, KernelSizeSearch], None]]:
    """tqdm's bar, and what moves it after a step."""
    from tqdm import tqdm

    bar = tqdm(total=total, unit="step", disable=None)

    def update(epoch: int, step: int, search: KernelSizeSearch) -> None:
        bar.update()
        if search.progress.step % 10 == 0:
            count = search.deployed_parameters()
            bar.set_postfix_str(
                f"epoch {epoch}, sizes {' '.join(map(str, search.sizes))}, {count / 1e6:.3f}M parameters"
            )

    return bar, update


def _print(learned: LearnedSizes, arguments: argparse.Namespace, classes: int) -> None:
    print(learned)
    if arguments.parameters or arguments.macs:
        print(learned.against_budget_only())
    print(f"\nWritten to {arguments.out}. To build the network:\n")
    print("    import timm\n    import effconv.timm_models\n    from effconv import LearnedSizes\n")
    print(f"    model = timm.create_model({arguments.model!r}, num_classes={classes})")
    print(f"    model = LearnedSizes.load({str(arguments.out)!r}).apply(model)")


def _check(arguments: argparse.Namespace) -> None:
    """What would otherwise be found out once the sizes are learned, or said in torch's words."""
    out: Path = arguments.out
    if out.is_dir():
        raise ValueError(f"--out {out} is a folder: give a file in it, such as {out / 'sizes.json'}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out {out}: nothing can be written to {out.parent}: give another place.")
    try:
        torch.empty(0, device=arguments.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--device {arguments.device} cannot be used ({reason}): give cpu, or leave it out."
        ) from error


def _draw(arguments: argparse.Namespace) -> None:
    try:
        record = json.loads(arguments.draw.read_text())
        record["trajectory"]["step"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--draw {arguments.draw} holds no search: give the file that --out of a search has written."
        ) from error
    draw_trajectory(record, arguments.out)


def _search(arguments: argparse.Namespace) -> None:
    batches, classes = image_batches(
        arguments.data,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    import timm

    import effconv.timm_models  # noqa: F401

    torch.manual_seed(arguments.seed)
    try:
        model = timm.create_model(arguments.model, num_classes=classes)
    except RuntimeError as error:
        raise ValueError(f"--model {arguments.model}: {error}; timm.list_models() lists the names.") from error
    model = model.to(arguments.device)
    bar, update = _progress_bar(arguments.epochs * len(batches))
    with bar:
        learned = learn_kernel_sizes(
            model,
            batches,
            parameters=arguments.parameters,
            macs=arguments.macs,
            epochs=arguments.epochs,
            seed=arguments.seed,
            options=SearchOptions(**{name: getattr(arguments, name) for name in SearchOptions().to_dict()}),
            progress=update,
        )
    learned.save(arguments.out)
    _print(learned, arguments, classes)


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. What a user got wrong is one sentence on standard error."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if not arguments.draw and not (arguments.data and arguments.model):
        parser.error(f"give --data and --model, or --draw; {EXAMPLE}")
    try:
        _check(arguments)
        if arguments.draw:
            _draw(arguments)
        else:
            _search(arguments)
    except ModuleNotFoundError as error:
        extra = "matplotlib" if error.name == "matplotlib" else "timm torchvision tqdm"
        print(f"effconv: {error.name} is not installed: pip install {extra}.", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"effconv: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
