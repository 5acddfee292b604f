"""Networks of several points in one model.

Each is built as it is alone, so it has its own seeds, weights and inputs, into operators of its
own; all operators together are one model, which the compiler groups by kind as it does those of
any network. Programs of equal structure share one compiled function.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.exceptions import ValidationError
from nengo.utils.numpy import maxint

from nengo_dl import config, tuning
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.nengo_order import nengo_order
from nengo_dl.runtime import build
from nengo_dl.runtime.inputs.host import DETERMINISTIC
from nengo_dl.settings import set_setting
from nengo_dl.simulator import Simulator
from nengo_dl.sweeps.job import Job, data_of
from nengo_dl.sweeps.points import Point

#: how many members of a structure were simulated side by side in this process: for so many there is
#: a compiled function
_compiled_for: dict[Hashable, set[int]] = defaultdict(set)


@dataclass(frozen=True)
class Member:
    """A network that is built."""

    point: Point
    network: nengo.Network
    model: Model
    probes: dict[str, nengo.Probe]
    data: dict[nengo.Node, np.ndarray]
    #: equal for members that can share a group
    structure: Hashable
    #: elements of all signals, and of what is recorded
    n_numbers: int
    n_recorded: int


class Groups:
    """Collects members of equal structure until they fill the cache."""

    def __init__(self, job: Job):
        self._job = job
        self._clock = Model(dt=job.dt)
        self._members: dict[Hashable, list[Member]] = defaultdict(list)

    def build(self, point: Point) -> Member:
        """Build the network of a point."""
        return _build(self._job, point, self._clock)

    def full_with(self, member: Member) -> list[Member]:
        """Add a member; gives those that were collected before it, if they fill a group."""
        group = self._members[member.structure]
        full: list[Member] = []
        n = len(group) + 1
        if (
            n * member.n_numbers > tuning.SWEEP_GROUP_NUMBERS
            or n * member.n_recorded > tuning.SWEEP_RECORDED_NUMBERS
        ):
            full, group = group, []
            self._members[member.structure] = group
        group.append(member)
        return full

    def rest(self) -> Iterator[list[Member]]:
        """The groups that are not full."""
        while self._members:
            yield self._members.pop(next(iter(self._members)))

    def simulate(self, members: Sequence[Member]) -> list[dict[str, np.ndarray]]:
        """Run members of equal structure side by side; gives what their probes recorded, by label.

        Where a function is compiled for somewhat more of them, the last one runs several times.
        """
        sizes = _compiled_for[members[0].structure]
        n = min((s for s in sizes if len(members) <= s <= 2 * len(members)), default=len(members))
        padding = [self.build(members[-1].point) for _ in range(n - len(members))]
        everything = [*members, *padding]
        data = {node: rows for member in everything for node, rows in member.data.items()}
        with Simulator(None, model=self._merged(everything), progress_bar=False) as sim:
            sim.run_steps(self._job.n_steps, data=data or None)
            sizes.add(n)
            return [
                {label: np.array(sim.data[probe]) for label, probe in member.probes.items()}
                for member in members
            ]

    def _merged(self, members: Sequence[Member]) -> Model:
        """All members as one model."""
        merged = Model(dt=self._job.dt, label=f"{len(members)} networks")
        merged.step, merged.time = self._clock.step, self._clock.time
        merged.operators[:] = self._clock.operators
        merged.toplevel = nengo.Network(add_to_container=False)
        for name in vars(config.network_settings(None)):
            value = config.get_setting(members[0].network, name)
            if value is not None:  # only what was set: some defaults depend on other settings
                set_setting(merged.toplevel, name, value)
        for member in members:
            model = member.model
            merged.toplevel.networks.append(member.network)
            merged.operators.extend(model.operators)
            merged.probes.extend(model.probes)
            merged.sig.update(model.sig)
            for whole, part in (
                (merged.params, model.params),
                (merged.seeds, model.seeds),
                (merged.seeded, model.seeded),
            ):
                whole.update(part)
        return merged


def _build(job: Job, point: Point, clock: Model) -> Member:
    network = job.make(**point.parameters)
    if not isinstance(network, nengo.Network):
        raise ValidationError(
            f"make({point}) returned {network!r}, expected a nengo.Network", attr="make"
        )
    probes = _by_label(network.all_probes, "Probe")
    if not probes:
        raise ValidationError(
            f"the network of make({point}) has no Probe with a label; results are found by the "
            'labels of Probes: nengo.Probe(ensemble, label="decoded")',
            attr="make",
        )
    model = Model(dt=job.dt)
    # all members have one clock, which is counted on once
    model.step, model.time = clock.step, clock.time
    model.operators.clear()
    settings = config.network_settings(network)
    build_model(network, job.dt, model, how=build.how(settings))
    _keep_seeds(model.operators, network)
    bases = {signal.base for op in model.operators for signal in op.all_signals}
    return Member(
        point=point,
        network=network,
        model=model,
        probes=probes,
        data=_data(data_of(job, point), network),
        structure=_structure(vars(settings), model.operators),
        n_numbers=sum(base.size for base in bases),
        n_recorded=job.n_steps * sum(probe.size_in for probe in model.probes),
    )


def _by_label(objects: Sequence[Any], kind: str) -> dict[str, Any]:
    """Objects that have a label."""
    found: dict[str, Any] = {}
    for obj in objects:
        if obj.label is not None and found.setdefault(obj.label, obj) is not obj:
            raise ValidationError(
                f"the network has two {kind}s with the label {obj.label!r}; give each its own",
                attr="label",
                obj=obj,
            )
    return found


def _data(values: dict[str, np.ndarray], network: nengo.Network) -> dict[nengo.Node, np.ndarray]:
    if not values:
        return {}
    labels = [node.label for node in network.all_nodes if node.label in values]
    nodes = {node.label: node for node in network.all_nodes if node.label in values}
    for label in values:
        if labels.count(label) != 1:
            known = ", ".join(repr(node.label) for node in network.all_nodes if node.label)
            raise ValidationError(
                f"there is data for {label!r}, which {labels.count(label)} Nodes of the network "
                f"have as their label, expected one; labels of Nodes: {known or 'none'}",
                attr="data",
            )
    return {nodes[label]: np.asarray(rows)[None] for label, rows in values.items()}


def _keep_seeds(operators: Sequence[Operator], network: nengo.Network) -> None:
    """Give processes without a seed the one that they draw in a simulator of this network alone."""
    drawing = [op for op in operators if isinstance(op, SimProcess) and op.process.seed is None]
    if all(isinstance(op.process, DETERMINISTIC) for op in drawing):
        return
    # as a simulator does that is given no seed
    rng = np.random.RandomState(None if network.seed is None else network.seed + 1)
    chosen = frozenset(drawing)
    for op in nengo_order(operators):
        if op in chosen:
            op.process = _with_seed(op.process, rng.randint(maxint))


def _with_seed(process: nengo.Process, seed: int) -> nengo.Process:
    """A copy of a process, which cannot be changed itself: others may use it."""
    cls: Any = type(process)
    copied = cls.__new__(cls)
    copied.__setstate__({**process.__getstate__(), "seed": seed})
    return copied


def _structure(settings: dict[str, Any], operators: Sequence[Operator]) -> Hashable:
    made = tuple((name, _hashable(value)) for name, value in settings.items())
    shapes = tuple((type(op), tuple(s.shape for s in op.all_signals)) for op in operators)
    return made, shapes


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
