"""A campaign on a pretended H100: the real order, packing and clock, with processes that only let a pretended time pass.

Jobs take what the suite estimates for them, longer by what sharing a card costs. Run as a program with 30 180, it prints what
campaigns of 30 and 180 minutes would do.
"""

import itertools
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.campaign import campaign, conduct
from workflow.campaign.priorities import claims
from workflow.machine import gpu_pool
from workflow.plan import config
from workflow.plan.steps import steps

pytestmark = pytest.mark.slow

CARD = "NVIDIA H100 80GB HBM3"
JOBS = {"train": 4, "growing": 4, "search": 2, "literal": 1}
GAIN = {"train": 2.2, "growing": 3.8, "search": 1.5, "literal": 1.0}  # images per second of so many jobs against one
START = 10.0  # seconds until a process trains: imports, images, capture


class Clock:
    """In place of `time`."""

    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += 1.0


class Process:
    """Ends with status 0 after `seconds`, or with 75 when its time is up."""

    def __init__(self, clock, seconds, limit):
        self.clock, self.status = clock, 0 if seconds <= limit else 75
        self.end = clock.now + min(seconds, limit)

    def poll(self):
        return self.status if self.clock.now >= self.end else None

    def kill(self):
        self.end = self.clock.now

    def wait(self):
        return self.status


def simulate(minutes: float, folder: Path, patch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `conduct` does in so many minutes: (time, what) of the commands and steps begun, and how the steps of each preset ended."""
    clock, log, campaigns, loaded = Clock(), [], [], []
    patch.chdir(folder)
    for module in (campaign, conduct):
        patch.setattr(module, "time", clock)
    patch.setattr(config, "cuda_devices", lambda: 1)
    patch.setattr(campaign, "recorded_folders", list)  # what is kept with the code changes what is left to do
    patch.setattr(conduct, "cuda_names", lambda: [CARD])
    patch.setattr(conduct, "checked", lambda device: False)
    patch.setattr(conduct, "prepare_data", lambda plan, folder, wanted: (loaded.append(wanted), plan)[1])

    def command(words, path, lock, seconds):
        log.append((clock.now, " ".join(words)))
        if words[0] == "check":
            gpu_pool.keep(CARD, {"side_by_side": JOBS})
        clock.now += 240 if words[0] == "check" else 60 * float(words[-1])

    def start(self, step, limit):
        log.append((clock.now, f"{self.plan.preset}: {step}"))
        kind = gpu_pool.kind_of(
            self.plan.by_id[step.member], step.stage, grows=conduct.network(self.plan.by_id[step.member]).grows
        )
        seconds = START + self.estimates.seconds(step)[0] * JOBS[kind] / GAIN[kind]
        self.running[step] = Process(clock, seconds, limit)

    patch.setattr(conduct, "_command", command)
    patch.setattr(campaign.Campaign, "_start", start)
    patch.setattr(campaign.Campaign, "_note", lambda self, text: None)
    real = campaign.Campaign.run
    patch.setattr(campaign.Campaign, "run", lambda self: (campaigns.append(self), real(self))[1])
    conduct.conduct({}, folder / "out", minutes=minutes, words=[])
    return SimpleNamespace(log=log, campaigns=campaigns, loaded=loaded, seconds=clock.now)


def done(one: campaign.Campaign) -> set:
    return {step for step, how in one.ended.items() if how == "done"}


def decided(one: campaign.Campaign) -> list[str]:
    """Claims all of whose searches and training are done."""
    found = {
        name: {step for step in needed if step.stage != "time"}
        for name, needed in claims(one.plan, steps(one.plan)).items()
    }
    return [name for name, needed in found.items() if needed and needed <= done(one)]


def central(one: campaign.Campaign) -> Counter:
    """Seeds done by row of the central question."""
    rows = one.plan.rows_of("central")
    trained = [one.plan.by_id[step.member].place for step in done(one) if step.stage == "train"]
    return Counter({row: trained.count(row) for row in rows})


@pytest.mark.parametrize("minutes", [30, 180])
def test_the_first_half_hour_and_three_hours(tmp_path, monkeypatch, minutes):
    found = simulate(minutes, tmp_path, monkeypatch)
    assert found.seconds <= 60 * minutes
    commands = [(begun, words.split()) for begun, words in found.log if ":" not in words]
    assert [words[0] for _, words in commands] == ["check", "times", "times"]
    assert sum(float(words[-1]) for _, words in commands[1:]) <= minutes / 4 + 0.01
    short, loaded = found.campaigns[0], found.loaded[0]
    assert short.plan.preset == "short"
    datasets = {text.split()[2].split("/")[0] for _, text in found.log if text.startswith("short: ")}
    assert datasets <= loaded and (minutes == 180 or "stl10" not in loaded)  # its 2.6 GB are not fetched for nothing
    first = next(text for _, text in found.log if text.startswith("short: "))
    assert first == "short: search cifar10/effconv-20-0.20m/seed0"  # what most of the central question waits for
    seeds = central(short)
    assert sum(seeds.values()) >= 20, seeds  # even in half an hour much is trained
    begun = [step for _, text in found.log if text.startswith("short: train ") for step in [text.split()[-1]]]
    rows = short.plan.rows_of("central")
    part = [name for name in begun if name.rpartition("/")[0] in rows]
    assert begun[: len(part)] == part  # the central question before everything else
    numbers = [int(name.rpartition("seed")[2]) for name in part]
    assert sum(later < one for one, later in itertools.pairwise(numbers)) <= 3  # a few that wait for their search
    if minutes == 180:
        expected = Counter(run.place for run in short.plan.runs if run.place in rows)
        assert seeds == expected
        assert len(done(short)) > sum(expected.values()) + 50


def main() -> None:
    import tempfile

    for minutes in map(float, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            found = simulate(minutes, Path(folder), patch)
            print(f"\n{minutes:.0f} minutes on a pretended {CARD}")
            for begun, text in found.log:
                if ":" not in text:
                    print(f"{begun / 60:6.1f} min  {text}")
            for one, loaded in zip(found.campaigns, found.loaded, strict=True):
                ended, stages = Counter(one.ended.values()), Counter(step.stage for step in done(one))
                print(
                    f"          preset {one.plan.preset}: {dict(stages)} done; {dict(ended)}; loads {', '.join(sorted(loaded))}"
                )
                if "central" in one.plan.tables:
                    seeds = central(one)
                    planned = Counter(run.place for run in one.plan.runs)
                    print(f"          central: {sum(seeds.values())} of {sum(planned[row] for row in seeds)} trainings")
                    print(
                        "            "
                        + ", ".join(f"{row.split('/')[1]} {seeds[row]}/{planned[row]}" for row in sorted(seeds))
                    )
                print(f"          claims with all searches and training done: {', '.join(decided(one)) or 'none'}")
            first = [text for _, text in found.log if text.startswith(("short: ", "paper: "))]
            print("          begun first: " + "; ".join(first[:6]) + f"; ... ({len(first)} in all)")


if __name__ == "__main__":
    main()
