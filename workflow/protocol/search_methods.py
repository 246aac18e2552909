"""The searches for kernel sizes by name: module and class, without importing them. A row's `learn` names one; EffConv is the default.

A class is built like `effconv.KernelSizeSearch` and its options like `effconv.SearchOptions`; `random-search` is a stage of its own.
"""

DEFAULT = "effconv"
METHODS: dict[str, tuple[str, str, str]] = {
    "effconv": ("effconv.search", "KernelSizeSearch", "SearchOptions"),
    "super-kernel": ("baselines.super_kernel", "SuperKernelSearch", "ChoiceOptions"),
    "dash": ("baselines.dash", "DashSearch", "ChoiceOptions"),
    "sampled": ("baselines.sampled_sizes", "SampledSearch", "SampledOptions"),
    "envelope": ("baselines.envelope", "EnvelopeSearch", "EnvelopeOptions"),
    "random-search": ("workflow.engine.random_search", "search", "RandomSearchOptions"),
}
DILATING = ("dash",)  # those that find a dilation besides each size: their system must take `dilations`


def module_of(name: str) -> str:
    """The module that holds a method."""
    return METHODS[name][0]
