"""A run: one seed of one row, described wholly by plain values. Every stage gets one, every record carries the one it was made from.

`Run.numbers(stage)` is the part of it that a stage's numbers depend on; its digest decides what is stale. Names, labels, sources and
the place of the data are not part of it: the data is known by its checksum. Neither is the device, except for seconds. Torch-free.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflow.protocol.datasets import DatasetInfo
from workflow.protocol.recipes import Recipe
from workflow.protocol.search_methods import DEFAULT
from workflow.support.errors import UserError

COUNTS = ("classes", "image_size", "channels", "train_images", "test_images")  # of a data set's constants


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search stage. `parameters`, `macs`: the budgets; `recipe`: its row's, of which a search takes what concerns the images."""

    epochs: int
    recipe: Recipe
    parameters: int | None = None
    macs: int | None = None
    method: str = DEFAULT
    options: Mapping[str, object] = field(default_factory=dict)
    images: int | None = None  # the first so many training images; None: all
    protocol: str = "paper"  # paper | changed

    @property
    def image_free(self) -> bool:
        """Whether no image reaches the sizes."""
        return bool(self.options.get("data_free"))

    def numbers(self) -> dict:
        """What its sizes depend on."""
        plain = {key: value for key, value in dataclasses.asdict(self).items() if key not in ("recipe", "protocol")}
        return {**plain, "recipe": self.recipe.of_images()}


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training stage. `recipe`: resolved, with the epochs and the batch size of this run."""

    recipe: Recipe
    images: int | None = None  # the first so many training images; None: all
    protocol: str = "paper"  # paper | short | changed

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    @property
    def batch_size(self) -> int:
        return self.recipe.batch_size


@dataclass(frozen=True, kw_only=True)
class SizesFrom:
    """Sizes by a rule that starts from another run's search. `options`: the rule's own (draw, within, budget, ...)."""

    rule: str
    run: str  # the id of the run whose search it waits for
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One seed of a row of a table, a figure or a chapter."""

    id: str
    dataset: str
    row: str
    label: str
    seed: int
    system: str
    arguments: Mapping[str, object]
    constants: DatasetInfo
    data: str  # folder of the prepared images
    train: Training
    search: Search | None = None
    sizes: SizesFrom | None = None
    precision: str = "fp32"
    device: str = "cpu"
    deterministic: bool = False
    compile: bool = False

    @property
    def place(self) -> str:
        """`dataset/row`: the name of what is compared, one line of a table."""
        return f"{self.dataset}/{self.row}"

    @property
    def search_stage(self) -> Search:
        """The search of a run that has one. Raises ValueError elsewhere."""
        if self.search is None:
            raise ValueError(f"{self.id} learns no kernel sizes.")
        return self.search

    def numbers(self, stage: str) -> dict:
        """What the numbers of a stage (search, train, time) depend on, as plain values."""
        constants = dataclasses.asdict(self.constants)
        found = {
            "dataset": {key: value for key, value in constants.items() if key != "title"},
            "seed": self.seed, "system": self.system, "arguments": dict(self.arguments), "precision": self.precision,
            "deterministic": self.deterministic, "compile": self.compile,
            "search": self.search.numbers() if self.search else None,
        }  # fmt: skip
        if stage != "search":
            found |= {"train": {**self.train.recipe.numbers(), "images": self.train.images}}
            found |= {"sizes": dataclasses.asdict(self.sizes) if self.sizes else None}
        if stage == "time":
            found |= {"device": self.device}
        return found

    @property
    def training(self) -> dict:
        """All that a training depends on but the kernel sizes, wherever those come from, and the kind of device."""
        return {**self.numbers("train"), "search": None, "sizes": None, "device": self.device}

    def _check_numbers(self) -> None:
        """Raises TypeError where what is counted, or counts, is no whole number, or none above 0."""
        stages: list[Training | Search] = [self.train, *([self.search] if self.search else [])]
        counts: list[object] = [getattr(self.constants, name) for name in COUNTS]
        for stage in stages:
            counts += [stage.epochs, stage.recipe.epochs, stage.recipe.batch_size]
            counts += [] if stage.images is None else [stage.images]
        if type(self.seed) is not int or not all(type(count) is int and count > 0 for count in counts):
            raise TypeError("a seed, or a number of epochs, images, channels or classes, is none")
        budgets = (self.search.parameters, self.search.macs) if self.search else ()
        if not all(budget is None or type(budget) in (int, float) for budget in budgets):
            raise TypeError("a budget is no number")

    def to_json(self) -> dict:
        """Plain values, the same as when read back from a record."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping) -> "Run":
        """From plain values. Raises UserError where they describe no run of this version."""
        try:
            train, search, sizes = values["train"], values.get("search"), values.get("sizes")
            words = ("id", "dataset", "row", "label", "system", "data", "precision", "device")
            texts = [*(values[key] for key in words), train["recipe"]["name"]]
            if not (all(isinstance(text, str) for text in texts) and isinstance(values["arguments"], Mapping)):
                raise TypeError(f"one of {', '.join(words)}, recipe is no text, or arguments no mapping")
            run = cls(**{
                **values,
                "constants": DatasetInfo.from_json(values["constants"]),
                "train": Training(**{**train, "recipe": Recipe.from_json(train["recipe"])}),
                "search": Search(**{**search, "recipe": Recipe.from_json(search["recipe"])}) if search else None,
                "sizes": SizesFrom(**sizes) if sizes else None,
            })  # fmt: skip
            run._check_numbers()
            return run
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"this is no run of this version ({error}): make the plan again.") from None
