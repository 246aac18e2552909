"""The systems that the suite trains: every baseline of the paper and the networks that its own method starts from.

`names()` lists them, `build()` makes one, `module_of()` says which module holds one. Listing never imports torch.
"""

from baselines.registry import build, module_of, names, system

__all__ = ["build", "module_of", "names", "system"]
