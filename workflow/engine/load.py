"""Foreign load: what else used the machine while a clock ran. Zero where it cannot be told (no /proc)."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")


def _busy_seconds() -> float | None:
    """CPU seconds that all processes together have used since boot; None where the system does not say."""
    try:
        fields = STAT.read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class ForeignLoad:
    """Cores that other processes kept busy, on average, between `start` and `stop`; several intervals add up."""

    def __init__(self) -> None:
        self._wall = self._foreign = 0.0
        self._began: tuple[float, float | None, float] = (0.0, None, 0.0)

    def start(self) -> None:
        """The clock starts."""
        self._began = time.perf_counter(), _busy_seconds(), time.process_time()

    def stop(self) -> None:
        """The clock stops."""
        wall, busy, own = self._began
        now = _busy_seconds()
        self._wall += time.perf_counter() - wall
        if busy is not None and now is not None:
            self._foreign += (now - busy) - (time.process_time() - own)

    @property
    def cores(self) -> float:
        """Cores taken by others; the kernel counts in hundredths of a second, so short clocks are uncertain by that."""
        return max(0.0, self._foreign / self._wall) if self._wall else 0.0
