"""The configuration: config/config.yaml, a preset and what the user gave, merged and checked. Torch-free: the Snakefile imports it.

Precedence, lowest first: the preset's file, `config/config.yaml`, `--configfile`, `--config`. Lists replace, mappings merge.
"""

import math
import os
import sys
from functools import cache

from workflow.machine.gpus import cuda_devices
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml, scalar
from workflow.support.nearest import advice

PRESETS = ("smoke", "short", "paper")


def merge(base: dict, over: dict) -> dict:
    """`base` with `over` on top: mappings merge key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@cache
def _say_unchecked() -> None:
    print("the files of config/ are not checked: the package jsonschema is not installed here.", file=sys.stderr)


@cache
def _schema(name: str) -> dict:
    return read_yaml(ROOT / "workflow" / "schemas" / f"{name}.yaml")


def validate(value: dict, schema_name: str, what: str, *, definition: str | None = None) -> None:
    """Hold `value` against workflow/schemas/<schema_name>.yaml; the first fault becomes one sentence with the key.

    definition: against this one of the schema's `$defs` instead. Where the package jsonschema is not installed (a borrowed machine),
    nothing is checked, and a line on stderr says so once.
    """
    try:
        import jsonschema
    except ModuleNotFoundError:
        _say_unchecked()
        return
    schema = _schema(schema_name)
    if definition:
        schema = {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        unknown = sorted(set(error.instance) - set(known), key=str)[0]
        path = f"{key}.{unknown}" if key else unknown
        meant = advice(unknown, known, f"the keys are {', '.join(known)}.")
        raise UserError(f"{what}: unknown key '{path}'; {meant}")
    shown = repr(error.instance) if len(repr(error.instance)) < 80 else "that value"
    expected = {
        "enum": lambda: f"must be one of {', '.join(map(str, error.validator_value))}",
        "type": lambda: f"must be of type {error.validator_value}",
        "required": lambda: f"lacks {error.message.split(' ')[0]}",
    }.get(error.validator, lambda: f"breaks the rule '{error.validator}: {error.validator_value}'")()
    subject = f"key '{key}'" if key else "the top level"
    if error.validator == "required":
        raise UserError(f"{what}: {subject} {expected}: add it.")
    raise UserError(f"{what}: {subject} is {shown}, but {expected}: correct it.")


def _as_yaml(value: object) -> object:
    """The values, their texts as YAML reads them: of `--config`, Snakemake leaves `true` and all that stands in brackets as text."""
    if isinstance(value, dict):
        return {key: _as_yaml(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_yaml(part) for part in value]
    return scalar(value) if isinstance(value, str) else value


def _refuse_infinite(value: object, key: str) -> None:
    """A UserError for a number that is none or infinite, which no limit of the schema keeps out."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        _refuse_infinite(part, f"{key}.{name}" if key else str(name))
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config: key '{key}' is {value}, but must be a finite number: correct it.")


def _with_epochs(preset: dict, given: dict) -> tuple[dict, bool]:
    """The preset without the numbers of epochs in training that the user's stand for, and whether the user gave one."""
    numbers = given.get("epochs")
    asked = {"train", "factor"} & set(numbers) if isinstance(numbers, dict) else set()
    if len(asked) > 1:
        raise UserError("config: key 'epochs' has both 'train' and 'factor', and one of them can count: take one out.")
    if not asked:
        return preset, False
    if isinstance(given.get("short"), dict) and "epochs" in given["short"]:
        raise UserError("config: keys 'epochs' and 'short.epochs' both say how long to train: take one out.")
    return {**preset, "epochs": {key: n for key, n in preset["epochs"].items() if key not in ("train", "factor")}}, True


def _on_a_cluster(given: dict) -> None:
    """Where the jobs run on other machines, this one's devices say nothing: preset and device have to be given."""
    for key, values in (("preset", PRESETS), ("device", ("cpu", "cuda"))):
        if given.get("cluster") and given.get(key, "auto") == "auto":
            raise UserError(
                f"config: key 'cluster' is true, but '{key}' is not given, and this machine's devices say nothing about the "
                f"others': add --config {key}={'|'.join(values)}."
            )


def _changed(preset: dict, config: dict) -> str:
    """A sentence on what the configuration changes of its preset's protocol, after a space; nothing where it changes nothing."""
    found = []
    for key in ("source", "epochs", "short", "images", "batch_size"):
        value, usual = config.get(key), preset.get(key)
        if isinstance(value, dict):
            value = {part: number for part, number in value.items() if number != (usual or {}).get(part)}
            found += [f"{key} ({part}) {number:,}" for part, number in sorted(value.items())]
        elif value != usual:
            found.append(f"{key} {value}")
    return (
        f" Changed by the configuration: {', '.join(found)}. Not comparable with the paper's numbers." if found else ""
    )


def load(user: dict | None = None) -> dict:
    """The whole configuration, checked. `user`: what the user gave on top of config/config.yaml.

    Adds `why`, a sentence on how the preset was chosen, `changed`, one on what differs from the preset's protocol, and `own_epochs`,
    whether the user's epochs of training stand for the preset's; turns `device: auto` into cpu or cuda.
    """
    given = merge(read_yaml(ROOT / "config" / "config.yaml"), user or {})
    # A folder's name is text, whatever it looks like.
    given = {key: value if key == "data" else _as_yaml(value) for key, value in given.items()}
    _refuse_infinite(given, "")
    _on_a_cluster(given)
    name, why = given.get("preset", "auto"), "it was asked for"
    if name == "auto":
        name = "short" if given.get("device") != "cpu" and cuda_devices() else "smoke"
        why = "a CUDA device is here" if name == "short" else "no CUDA device was found"
    if name not in PRESETS:
        raise UserError(f"config: key 'preset' is {name!r}, but must be one of auto, {', '.join(PRESETS)}: correct it.")
    preset = read_yaml(ROOT / "config" / "presets" / f"{name}.yaml")
    if "seeds" in given and "fewer_seeds" not in given:
        preset.pop("fewer_seeds", None)  # it shortens the preset's own list; seeds that a user names are all run
    base, own_epochs = _with_epochs(preset, given)
    config = merge(base, {**given, "preset": name})
    for key in ("seeds", "only", "chapters"):
        if key in config and not isinstance(config[key], list):
            config[key] = [config[key]]
    validate(config, "config", "config")
    config["data"] = os.path.expanduser(config["data"])
    if config["device"] == "auto":
        config["device"] = "cuda" if cuda_devices() else "cpu"
    elif config["device"] == "cuda" and not config.get("cluster") and not cuda_devices():
        raise UserError(
            "config: key 'device' is 'cuda', but no CUDA device was found: set it to 'cpu', or check `nvidia-smi`."
        )
    # The short protocol has numbers of its own: another one is a change, even where it is the factor of the preset's file.
    usual = base if "short" in preset else preset
    return {**config, "why": why, "changed": _changed(usual, config), "own_epochs": own_epochs}
