"""Tables: for the terminal, and for a page in Markdown; and the file that keeps everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from nengo_dl.benchmarks.cases import OURS, TITLES, Result, Times
from nengo_dl.benchmarks.targets import target

COLUMNS = "{:<20} {:<24} {:<11} {:>12}  {:<24} {:>12}  {}"
HEADER = COLUMNS.format(
    "benchmark", "timed", "backend", "nengo_dl", "peer", "peer's", "times as fast as the peer"
)


# -- terminal --------------------------------------------------------------------------------------


def rows(result: Result) -> list[str]:
    """Lines of the table: a ratio with its spread for each backend and peer, and the times that it
    comes from.
    """
    lines = []
    for ours in result.ours:
        for other in result.others or [""]:
            lines.append(
                COLUMNS.format(
                    result.name,
                    timed(result),
                    ours.partition("/")[2],
                    _amount(result, ours),
                    title(other, result.times.get(other)),
                    _amount(result, other) if other else "",
                    outcome(result, ours, other),
                )
            )
    return lines


def outcome(result: Result, ours: str, other: str) -> str:
    """A ratio and its spread, or why there is none."""
    for peer in (ours, other):
        if peer in result.missing:
            return f"{title(peer)}: {result.missing[peer]}"
    if not other:
        return ""
    ratios = result.ratios(ours, other)
    if result.set == "memory":
        return f"{ratios[0]:.2f} of the memory that the target is about"
    middle, least, most = map(_digits, (median(ratios), min(ratios), max(ratios)))
    text = f"{middle} ({least} to {most})"
    if result.set == "building":
        text += _resources(result.times[ours], result.times[other])
    return text


def _resources(ours: Times, other: Times) -> str:
    """Time on all cores together and memory that building took, of both."""
    if not (ours.user_seconds and other.user_seconds):  # of a file that does not tell
        return ""
    user = " / ".join(duration(median(times.user_seconds)) for times in (ours, other))
    return f"; user {user}; peak {ours.peaks_mb[2]:,.0f} / {other.peaks_mb[2]:,.0f} MiB"


def _digits(ratio: float) -> str:
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"


def timed(result: Result) -> str:
    """What is timed, for a reader."""
    parameters = result.parameters
    parts = {
        "training": f"one of the {result.unit}",
        "building": "build + first second",
        "memory": f"{parameters.get('n_steps', 0):,} steps",
    }
    text = parts.get(result.set, "one step of an item")
    if result.series == "operators" or parameters.get("n_steps") == 0:
        text = "build"
    if parameters.get("sample_every"):
        text += f", sampled every {parameters['sample_every']} s"
    if parameters.get("minibatch_size", 1) != 1:
        text += f", batch {parameters['minibatch_size']}"
    if parameters.get("dtype", "float32") != "float32":
        text += f", {parameters['dtype']}"
    return text


def title(peer: str, times: Times | None = None) -> str:
    """Name of a peer, with its version where it is known."""
    if peer.startswith(OURS + "/"):
        return f"nengo_dl on {peer.partition('/')[2]}"
    name = TITLES.get(peer, peer)
    versions = times.facts.get("versions", {}) if times else {}
    library = {"nengo-dl-3": "nengo-dl", "keras-fast": "keras"}.get(peer, peer)
    return f"{name} {versions[library]}" if library in versions and peer != "nengo" else name


def _amount(result: Result, peer: str) -> str:
    times = result.times.get(peer)
    if times is None:
        return "-"
    if result.set == "memory":
        return f"{times.peaks_mb[2]:,.0f} MiB"
    return duration(median(times.seconds_per_work if _per_step(result) else times.seconds))


def _per_step(result: Result) -> bool:
    return result.set != "building" and result.series not in ("operators", "steps")


def duration(seconds: float) -> str:
    """A time in a unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


# -- file ------------------------------------------------------------------------------------------


def to_json(results: Iterable[Result], machine: dict[str, Any], path: str | Path) -> None:
    """Write results to a file, all times of all repetitions included.

    Parameters
    ----------
    results
        What to write.
    machine
        What they were measured on, see `machine.describe`.
    path
        Name of the file; an existing one is replaced.
    """
    content = {"machine": machine, "results": [result.to_json() for result in results]}
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def from_json(path: str | Path) -> tuple[list[Result], dict[str, Any]]:
    """Results and machine of a file."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return [Result.from_json(record) for record in content["results"]], content["machine"]


def merged(paths: Iterable[str | Path]) -> tuple[list[Result], dict[str, Any]]:
    """Results and machine of several files; where two have the same comparison, that of the later
    one counts. What is told of the machine is joined where it differs.
    """
    results: dict[tuple, Result] = {}
    machine: dict[str, dict[str, None]] = {}
    for path in paths:
        found, described = from_json(path)
        results.update({_identity(result): result for result in found})
        for key, value in described.items():
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            machine.setdefault(key, {})[text] = None
    return list(results.values()), {key: ", ".join(values) for key, values in machine.items()}


def _identity(result: Result) -> tuple:
    """What two measurements of the same have in common; points of a curve differ in size only."""
    times = next(iter(result.times.values()), None)
    size = None
    if times is not None and result.series:
        size = times.n if result.series == "steps" else times.facts.get("neurons")
    parameters = tuple(sorted(result.parameters.items()))
    return result.set, result.name, parameters, result.series, size


# -- page ------------------------------------------------------------------------------------------


def fill_in(page: str, results: list[Result], machine: dict[str, Any]) -> str:
    """The page with its tables made anew.

    A table stands between ``<!-- table: SET -->`` and ``<!-- end -->``, where SET is a set of
    benchmarks, or "machine". The targets are for processors: a machine with a GPU has none.
    """

    def table(match: re.Match) -> str:
        name = match[1]
        if name == "machine":
            lines = _machine_table(results, machine)
        else:
            chosen = [result for result in results if result.set == name]
            lines = markdown(chosen, with_targets="gpu" not in machine)
        return "\n".join([f"<!-- table: {name} -->", *lines, "<!-- end -->"])

    return re.sub(r"<!-- table: (\S+) -->\n.*?<!-- end -->", table, page, flags=re.DOTALL)


def markdown(results: list[Result], with_targets: bool = True) -> list[str]:
    """Lines of a table with what was measured, beside what is wanted."""
    if not results:
        return ["Not measured yet."]
    columns = ["benchmark", "timed", "backend", "nengo_dl", "peer", "peer's", "ratio (range)"]
    columns += ["target"] if with_targets else []
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for result in results:
        for ours in result.ours:
            for other in result.others:
                cells = [
                    f"`{result.name}`",
                    timed(result),
                    ours.partition("/")[2],
                    _amount(result, ours),
                    title(other, result.times.get(other)),
                    _amount(result, other),
                    outcome(result, ours, other),
                ]
                if with_targets:
                    cells.append(_wanted(result, ours, other))
                lines.append("| " + " | ".join(cells) + " |")
    return lines


def _wanted(result: Result, ours: str, other: str) -> str:
    wanted = target(result, other)
    if wanted is None or wanted.wanted(ours) is None:
        return ""
    text = f"{'≤' if wanted.most else '≥'} {wanted.wanted(ours):g}"
    if ours not in result.times or other not in result.times:
        return text
    return f"{text}, {'met' if wanted.met(result.ratio(ours, other), ours) else 'not met'}"


def _machine_table(results: list[Result], machine: dict[str, Any]) -> list[str]:
    found: dict[str, set[str]] = {}
    for result in results:
        for times in result.times.values():
            for library, number in times.facts.get("versions", {}).items():
                found.setdefault(library, set()).add(number)
    values = {
        **machine,
        **{library: ", ".join(sorted(found[library])) for library in sorted(found)},
    }
    return ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in values.items())]
