"""The configuration: config/config.yaml, a preset and what the user gave, merged and checked. Torch-free: the Snakefile imports it.

Precedence, lowest first: the preset's file, `config/config.yaml`, `--configfile`, `--config`. Lists replace, mappings merge.
"""

import difflib
import sys

from workflow.machine.gpus import cuda_devices
from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml

PRESETS = ("smoke", "short", "paper")


def merge(base: dict, over: dict) -> dict:
    """`base` with `over` on top: mappings merge key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def validate(value: dict, schema_name: str, what: str) -> None:
    """Hold `value` against workflow/schemas/<schema_name>.yaml; the first fault becomes one sentence with the key.

    Where the package jsonschema is not installed (a borrowed machine), nothing is checked, and a line on stderr says so.
    """
    try:
        import jsonschema
    except ModuleNotFoundError:
        print(f"{what} is not checked: the package jsonschema is not installed here.", file=sys.stderr)
        return
    schema = read_yaml(ROOT / "workflow" / "schemas" / f"{schema_name}.yaml")
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        unknown = sorted(set(error.instance) - set(known))[0]
        path = f"{key}.{unknown}" if key else unknown
        close = difflib.get_close_matches(str(unknown), known, n=1)
        advice = f"did you mean '{close[0]}'?" if close else f"the keys are {', '.join(known)}."
        raise UserError(f"{what}: unknown key '{path}'; {advice}")
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


def _numbers(values: object) -> object:
    """`--config seeds=[0,1]` arrives as ['0', '1'] and `seeds=0` as 0: lists of numbers are given back as such."""
    values = values if isinstance(values, list) else [values]
    return [int(v) if isinstance(v, str) and v.lstrip("-").isdigit() else v for v in values]


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

    Adds `why`, a sentence on how the preset was chosen, and `changed`, one on what differs from the preset's protocol; turns
    `device: auto` into cpu or cuda.
    """
    given = merge(read_yaml(ROOT / "config" / "config.yaml"), user or {})
    if given.get("cluster") in ("true", "false"):  # as --config cluster=true arrives
        given["cluster"] = given["cluster"] == "true"
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
    config = merge(preset, {**given, "preset": name})
    for key in ("seeds", "only", "chapters"):
        if key in config:
            config[key] = _numbers(config[key])
    validate(config, "config", "config")
    if config["device"] == "auto":
        config["device"] = "cuda" if cuda_devices() else "cpu"
    elif config["device"] == "cuda" and not config.get("cluster") and not cuda_devices():
        raise UserError(
            "config: key 'device' is 'cuda', but no CUDA device was found: set it to 'cpu', or check `nvidia-smi`."
        )
    return {**config, "why": why, "changed": _changed(preset, config)}
