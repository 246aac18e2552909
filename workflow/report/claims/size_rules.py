"""Rules on learned sizes: where the largest kernels are, which layers agree, whether a search has come to rest, what kernels cost."""

from workflow.report import text
from workflow.report.claims import verdicts
from workflow.report.claims.rules import Missing, Setting, rule
from workflow.report.claims.verdicts import Finding
from workflow.report.rows import rows_of, side
from workflow.report.stats import sample


def _sizes(setting: Setting, name: str) -> list[list[float]]:
    """Sizes of every seed of a row that has some; Missing where none has."""
    row = setting.row(name)
    found = [[side(size) for size in sizes] for sizes in row.sizes]
    if not found:
        raise Missing(f"{row.name}: no sizes have been learned ({row.status})")
    return found


def _means(seeds: list[list[float]]) -> list[float]:
    return [sample(values).mean for values in zip(*seeds, strict=True)]


@rule("sizes")
def largest_layer(setting: Setting, *, row: str, layer: int, tolerance: int, deepest: int) -> Finding:
    """The largest kernel is in `layer` (give or take `tolerance` layers), not among the `deepest` last ones."""
    seeds = _sizes(setting, row)
    means = _means(seeds)
    peak = means.index(max(means)) + 1
    places = [[index for index, size in enumerate(sizes, 1) if size == max(sizes)] for sizes in seeds]
    late = len(means) - deepest
    words = f"largest mean size {max(means):.1f} in layer {peak}; by seed: layers " + "; ".join(
        ", ".join(map(str, p)) for p in places
    )
    if len(seeds) < 2:
        return Finding(verdicts.UNDECIDED, words)
    if all(min(found) > late for found in places):
        return Finding(verdicts.FAILS, words)
    early = all(max(found) <= late for found in places)
    if early and all(layer in found for found in places):
        return Finding(verdicts.HOLDS, words)
    if early and abs(peak - layer) <= tolerance:
        return Finding(verdicts.TOLERANCE, words)
    if early and all(min(abs(place - layer) for place in found) > tolerance for found in places):
        return Finding(verdicts.FAILS, words)
    return Finding(verdicts.UNDECIDED, words)


@rule("sizes")
def first_layers_agree(setting: Setting, *, row: str, other: str, layers: int, tolerance: float) -> Finding:
    """Two rows choose the same sizes in the first `layers` and differ more in the rest; `tolerance`: mean difference in the first."""
    a, b = _sizes(setting, row), _sizes(setting, other)
    gaps = [abs(x - y) for x, y in zip(_means(a), _means(b), strict=True)]
    first, rest = sample(gaps[:layers]).mean, sample(gaps[layers:]).mean
    words = f"mean difference in size {first:.2f} over the first {layers} layers, {rest:.2f} over the other {len(gaps) - layers}"
    if min(len(a), len(b)) < 2:
        return Finding(verdicts.UNDECIDED, words)
    if first == 0 and rest > 0:
        return Finding(verdicts.HOLDS, words)
    return Finding(verdicts.TOLERANCE if first <= tolerance and first < rest else verdicts.FAILS, words)


@rule("sizes")
def kernel_steps(setting: Setting, *, row: str, other: str, side_of_input: int) -> Finding:
    """Making a kernel of size s costs `row` s*s steps, and `other` the whole input's N*N evaluations whatever its final size.

    A network that crops its kernel before it evaluates it, as FlexConv's published code does, spends only the cropped positions.
    """
    mine, theirs = _sizes(setting, row), _sizes(setting, other)
    steps = sample(size * size for sizes in mine for size in sizes).mean
    spent = sample(size * size for sizes in theirs for size in sizes).mean
    full = side_of_input**2
    words = (
        f"{text.significant(steps)} steps a kernel for {setting.row(row).name}; {text.significant(spent)} positions a kernel for "
        f"{setting.row(other).name}, which crops before it evaluates, where the whole input has {full}"
    )
    if spent < 0.9 * full:
        return Finding(verdicts.FAILS, words)
    return Finding(verdicts.HOLDS if steps < spent else verdicts.FAILS, words)


@rule("sizes")
def searches_settle(setting: Setting, *, budget: float, drift: float) -> Finding:
    """Every search meets its budget (within a share `budget`) and soft sizes hardly move (mean below `drift`) in its last tenth.

    This is what can be seen of "10 epochs are enough"; that more epochs would not help accuracy is not measured.
    """
    misses, drifts, settings = [], [], set()
    for row in rows_of(setting.evidence).values():
        for state in row.states:
            wanted = state.run.search and state.run.search.parameters
            if state.search is None or not wanted:
                continue
            misses.append(abs(state.search["parameters"] / wanted - 1))
            settings.add(repr(sorted(state.run.search.options.items())))
            if soft := state.search["trajectory"].get("soft_sizes"):
                before = soft[max(0, int(0.9 * len(soft)) - 1)]
                drifts.append(sum(abs(x - y) for x, y in zip(before, soft[-1], strict=True)) / len(before))
    if not misses:
        raise Missing("no search has finished")
    moved = max(drifts, default=0.0)
    words = (
        f"{len(misses)} searches with {'the same' if len(settings) == 1 else 'different'} options: at most {100 * max(misses):.1f} % "
        f"off their budgets, soft sizes still moving by at most {moved:.2f} at the end"
    )
    if max(misses) > 2 * budget or len(settings) > 1:
        return Finding(verdicts.FAILS, words)
    settled = max(misses) <= budget and moved <= drift
    return Finding(verdicts.HOLDS if settled else verdicts.TOLERANCE, words)
