"""How large the primer's measurements are: the full ones, and small ones for the smoke preset. Torch-free."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Sizes of what is timed or compared. Counts and shapes are the same at every effort."""

    rounds: int  # interleaved repeats of a comparison of times
    seconds: float  # of each of them, about, for each candidate
    channels: int  # of timed convolutions
    image: int  # side of the image under them
    batch: int  # images of a timed layer of the bridge
    outputs: int  # of the fully connected layer that is compared with its convolution


FULL = Effort(rounds=9, seconds=0.03, channels=128, image=32, batch=32, outputs=4096)
SMALL = Effort(rounds=3, seconds=0.005, channels=32, image=16, batch=4, outputs=256)


def effort_of(preset: str) -> Effort:
    """The effort of a preset: small for smoke."""
    return SMALL if preset == "smoke" else FULL
