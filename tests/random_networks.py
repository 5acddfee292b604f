"""Random networks of all that Nengo offers, to compare simulators on.

``random_network(seed)`` makes one from a seed, `networks` is the hypothesis strategy for the same
networks, and ``python tests/random_networks.py --count 2000`` compares many of them.

A Node's function may keep state, so a network can be simulated once only: make it anew for each
simulation.
"""

from dataclasses import dataclass

import nengo
import numpy as np
from hypothesis import strategies as st
from nengo.ensemble import Neurons

import random_parts as parts
from draws import Draws, drawn, replayed, seeded


def random_network(seed: int) -> nengo.Network:
    """The network of a seed, made anew by each call."""
    return make_network(seeded(seed))


def time_step(seed: int) -> float:
    """The time step in seconds with which the network of a seed is simulated."""
    return (0.001, 0.001, 0.001, 0.002, 0.0005)[seed % 5]


@dataclass(frozen=True)
class Recipe:
    """The choices that lead to a network; calling it makes the network anew."""

    choices: tuple[int, ...]

    def __call__(self) -> nengo.Network:
        return make_network(replayed(self.choices))

    def __repr__(self) -> str:
        return f"a recipe for\n{describe(self())}\nRecipe({self.choices})"


@st.composite
def networks(draw) -> Recipe:
    """Hypothesis strategy: recipes for networks, which shrink to fewer and simpler objects."""
    choices: list[int] = []
    make_network(drawn(draw, choices))
    return Recipe(tuple(choices))


def make_network(draws: Draws) -> nengo.Network:
    """Make a network out of choices."""
    return _Assembly(draws).network


@dataclass(frozen=True)
class Part:
    """Something that can be connected.

    Parts are ranked in the order in which they were made. A connection to a part of the same or a
    lower rank needs a synapse, which delays it; so there are no cycles within a step.
    """

    rank: int
    outputs: tuple
    inputs: tuple


class _Assembly:
    """Makes one network, step by step."""

    def __init__(self, draws: Draws):
        self.draws = draws
        self.parts: list[Part] = []
        self.ensembles: list[nengo.Ensemble] = []
        self.connections: list[nengo.Connection] = []
        self.network = nengo.Network(seed=draws.integer(0, 1000))
        with self.network:
            # few points make the decoders cheap to solve for
            self.network.config[nengo.Ensemble].n_eval_points = 20
            draws.repeat(1, 3, self.add_source)
            draws.repeat(1, 5, self.add_body)
            draws.repeat(0, 3, self.add_recurrent_connection)
            if draws.chance(0.15):
                self.add_learning()
            draws.repeat(2, 6, self.add_probe)

    def _enter(self, outputs: list, inputs: list) -> Part:
        self.parts.append(Part(len(self.parts), tuple(outputs), tuple(inputs)))
        return self.parts[-1]

    # -- sources -----------------------------------------------------------------------------------

    def add_source(self) -> None:
        """A Node without input."""
        draws = self.draws
        size = draws.integer(1, 4)
        kind = draws.choice(["array", "function", "process", "process"])
        if kind == "array":
            output = draws.array(size)
        elif kind == "function":
            output = parts.source_function(draws, size)
        else:
            output = parts.source_process(draws, size)
        self._enter([nengo.Node(output, size_out=size)], [])

    # -- what comes after them ---------------------------------------------------------------------

    def add_body(self) -> None:
        """Something with an input, and a connection to it from one or two of the parts before."""
        draws = self.draws
        kinds = [self.ensemble] * 5 + [self.middle_node, self.nested, self.ensemble_array]
        part = draws.choice(kinds)()
        for _ in range(draws.choice([1, 1, 2])):
            self.connect(draws.choice(self.parts[: part.rank]), part)
        if draws.chance(0.1):
            self.add_sink(part)

    def make_ensemble(self, **kwargs) -> nengo.Ensemble:
        draws = self.draws
        neurons = parts.neuron_type(draws)
        if draws.chance(0.15) and not isinstance(neurons, nengo.Direct):
            kwargs["noise"] = parts.noise(draws)
        if draws.chance(0.3):
            kwargs["radius"] = draws.number(0.5, 2)
        if draws.chance(0.1):
            kwargs["seed"] = draws.integer(0, 1000)
        ensemble = nengo.Ensemble(
            n_neurons=draws.integer(3, 15),
            dimensions=draws.integer(1, 3),
            neuron_type=neurons,
            max_rates=nengo.dists.Uniform(70, 120),
            intercepts=nengo.dists.Uniform(-0.9, 0.5),
            **kwargs,
        )
        self.ensembles.append(ensemble)
        return ensemble

    def ensemble(self) -> Part:
        return self._enter(*self._ends(self.make_ensemble()))

    def _ends(self, ensemble: nengo.Ensemble) -> tuple[list, list]:
        if isinstance(ensemble.neuron_type, nengo.Direct):
            return [ensemble], [ensemble]
        return [ensemble, ensemble, ensemble.neurons], [ensemble, ensemble, ensemble.neurons]

    def nested(self) -> Part:
        """A network with a passthrough Node and an ensemble."""
        draws = self.draws
        with nengo.Network(seed=draws.choice([None, draws.integer(0, 1000)])) as inner:
            inner.config[nengo.Connection].synapse = parts.synapse(draws, delayed=False)
            size = draws.integer(1, 3)
            entry = nengo.Node(size_in=size)
            ensemble = self.make_ensemble()
            self.connections.append(
                nengo.Connection(
                    entry, ensemble, transform=draws.array((ensemble.dimensions, size))
                )
            )
        return self._enter([*self._ends(ensemble)[0], entry], [entry])

    def ensemble_array(self) -> Part:
        draws = self.draws
        array = nengo.networks.EnsembleArray(
            draws.integer(3, 6),
            n_ensembles=draws.integer(2, 3),
            ens_dimensions=draws.integer(1, 2),
            neuron_type=parts.neuron_type(draws),
            max_rates=nengo.dists.Uniform(70, 120),
            intercepts=nengo.dists.Uniform(-0.9, 0.5),
            n_eval_points=20,
        )
        outputs = [array.output]
        if draws.chance(0.3):
            outputs.append(array.add_output("square", np.square))
        self.ensembles.extend(array.ensembles)
        self.connections.extend(array.connections)
        return self._enter(outputs, [array.input])

    def middle_node(self) -> Part:
        draws = self.draws
        size = draws.integer(1, 4)
        kind = draws.choice(["passthrough", "function", "process"])
        if kind == "passthrough":
            node = nengo.Node(size_in=size)
        elif kind == "function":
            size_out = draws.choice([size, draws.integer(1, 4)])
            output = parts.node_function(draws, size, size_out)
            node = nengo.Node(output, size_in=size, size_out=size_out)
        else:
            output = parts.filter_process(draws, size)
            node = nengo.Node(output, size_in=size, size_out=size)
        return self._enter([node], [node])

    def add_sink(self, part: Part) -> None:
        """A Node that returns nothing."""
        source = part.outputs[0]
        sink = nengo.Node(lambda t, x: None, size_in=source.size_out)
        nengo.Connection(source, sink, synapse=parts.synapse(self.draws, delayed=False))

    # -- connections -------------------------------------------------------------------------------

    def add_recurrent_connection(self) -> None:
        """A connection back to a part that was made before, or to itself."""
        targets = [part for part in self.parts if part.inputs]
        post = self.draws.choice(targets)
        self.connect(self.draws.choice(self.parts[post.rank :]), post)

    def connect(self, pre_part: Part, post_part: Part) -> None:
        draws = self.draws
        pre, post = draws.choice(pre_part.outputs), draws.choice(post_part.inputs)
        n_post = draws.choice([post.size_in, draws.integer(1, post.size_in)])
        with_function = _takes_function(pre) and draws.chance(0.4)
        kwargs = {"synapse": parts.synapse(draws, delayed=post_part.rank <= pre_part.rank)}
        by_element = not draws.chance(0.5)  # Nengo takes repeated indices only then
        if by_element:
            n_pre = n_mid = n_post
            transform = draws.choice(["none", "scalar", "vector"])
        else:
            n_pre = draws.choice([pre.size_out, draws.integer(1, pre.size_out)])
            n_mid = draws.integer(1, 3) if with_function else n_pre
            transform = draws.choice(["matrix", "matrix", "distribution", "sparse"])
        if with_function:
            kwargs["function"] = parts.function(draws, n_pre, n_mid)
        elif _is_decoded(pre):
            self._choose_solver(pre, post, n_mid, kwargs)
        kwargs["transform"] = self._transform(transform, pre, n_mid, n_post)
        pre = _select(pre, parts.index(draws, pre.size_out, n_pre, repeats=by_element))
        post = _select(post, parts.index(draws, post.size_in, n_post, repeats=by_element))
        self.connections.append(nengo.Connection(pre, post, **kwargs))

    def _choose_solver(self, pre, post, n_mid: int, kwargs: dict) -> None:
        draws = self.draws
        if draws.chance(0.2):
            scale = 2 / (pre.n_neurons * parts.output_size(pre.neuron_type))
            kwargs["solver"] = nengo.solvers.NoSolver(
                draws.array((pre.n_neurons, n_mid), -scale, scale)
            )
        elif _is_decoded(post) and draws.chance(0.3):
            kwargs["solver"] = nengo.solvers.LstsqL2(weights=True)

    def _transform(self, kind: str, pre, n_mid: int, n_post: int):
        """A transform that keeps what it passes on within about -1 and 1."""
        draws = self.draws
        neurons = isinstance(pre, Neurons)
        scale = 1 / parts.output_size(pre.ensemble.neuron_type) if neurons else 1
        if kind == "none" and not neurons:
            return None
        if kind in ("none", "scalar"):
            return scale * draws.number(-0.9, 0.9)
        if kind == "vector":
            return draws.array(n_post, -scale, scale)
        scale /= np.sqrt(n_mid)
        if kind == "distribution":
            return nengo.Dense((n_post, n_mid), init=nengo.dists.Uniform(-scale, scale))
        if kind == "sparse" and not _is_decoded(pre):
            rng = draws.generator()
            places = np.argwhere(rng.uniform(size=(n_post, n_mid)) < 0.7)
            if len(places):
                init = rng.uniform(-scale, scale, size=len(places))
                return nengo.Sparse((n_post, n_mid), indices=places, init=init)
        return draws.array((n_post, n_mid), -scale, scale)

    # -- learning ----------------------------------------------------------------------------------

    def add_learning(self) -> None:
        """A connection between two ensembles whose weights or encoders change."""
        draws = self.draws
        spiking = [ens for ens in self.ensembles if not isinstance(ens.neuron_type, nengo.Direct)]
        if not spiking:
            return
        pre, post = draws.choice(spiking), draws.choice(spiking)
        delay = {"synapse": nengo.Lowpass(0.01)}
        rule = draws.choice(
            [
                nengo.PES(learning_rate=1e-3),
                nengo.Voja(post_synapse=draws.choice([None, 0.005]), learning_rate=0.02),
                nengo.RLS(learning_rate=1e-5),
                nengo.BCM(learning_rate=1e-10),
                nengo.Oja(learning_rate=1e-7),
            ]
        )
        if isinstance(rule, nengo.BCM | nengo.Oja):
            scale = 1 / (pre.n_neurons * parts.output_size(pre.neuron_type))
            weights = draws.array((post.n_neurons, pre.n_neurons), -scale, scale)
            ends = pre.neurons, post.neurons
        else:
            ends = pre, post
            weights = draws.array((post.dimensions, pre.dimensions))
        connection = nengo.Connection(*ends, transform=weights, learning_rule_type=rule, **delay)
        if not isinstance(rule, nengo.BCM | nengo.Oja):
            error = draws.choice(self.parts).outputs[0]
            size = connection.learning_rule.size_in, error.size_out
            nengo.Connection(error, connection.learning_rule, transform=draws.array(size), **delay)
        nengo.Probe(connection, "weights")
        if isinstance(rule, nengo.Voja):
            nengo.Probe(post, "scaled_encoders")

    # -- probes ------------------------------------------------------------------------------------

    def add_probe(self) -> None:
        draws = self.draws
        target, attribute = draws.choice([self._part_end, self._ensemble, self._connection])()
        kwargs = {}
        if draws.chance(0.25):
            kwargs["sample_every"] = draws.choice([0.002, 0.005, 0.0025, 0.0033, 0.0004])
        if attribute != "weights" and draws.chance(0.3):
            kwargs["synapse"] = parts.synapse(draws, delayed=False)
        if attribute is None and _is_decoded(target) and draws.chance(0.3):
            kwargs["solver"] = nengo.solvers.LstsqL2(reg=0.05)
        if not isinstance(target, nengo.Connection) and draws.chance(0.3):
            n = draws.integer(1, target.size_out)
            target = _select(target, parts.index(draws, target.size_out, n))
        nengo.Probe(target, attribute, **kwargs)

    def _part_end(self):
        return self.draws.choice(self.draws.choice(self.parts).outputs), None

    def _ensemble(self):
        if not self.ensembles:
            return self._part_end()
        ensemble = self.draws.choice(self.ensembles)
        if isinstance(ensemble.neuron_type, nengo.Direct):
            return ensemble, self.draws.choice([None, "input"])
        if self.draws.chance(0.2):
            return ensemble, "input"
        return ensemble.neurons, self.draws.choice(ensemble.neurons.probeable)

    def _connection(self):
        if not self.connections:
            return self._part_end()
        connection = self.draws.choice(self.connections)
        attributes = ["output", "input"]
        if connection.has_weights and not isinstance(connection.transform, nengo.Sparse):
            attributes.append("weights")
        return connection, self.draws.choice(attributes)


def _select(obj, index):
    return obj if index is None else obj[index]


def _is_decoded(obj) -> bool:
    """Whether ``obj`` is an ensemble with neurons."""
    return isinstance(obj, nengo.Ensemble) and not isinstance(obj.neuron_type, nengo.Direct)


def _takes_function(obj) -> bool:
    if isinstance(obj, nengo.Node):
        return obj.output is not None
    return isinstance(obj, nengo.Ensemble)


def has_python_state(network: nengo.Network) -> bool:
    """Whether a Node's function keeps state, which the items of a minibatch would share."""
    return any(isinstance(node.output, parts.STATEFUL) for node in network.all_nodes)


def describe(network: nengo.Network) -> str:
    """One line for each object of a network."""
    names: dict = {}
    for kind in (network.all_nodes, network.all_ensembles):
        for obj in kind:
            names[obj] = f"{type(obj).__name__.lower()} {len(names)}"

    def name(end) -> str:
        obj = getattr(end, "obj", end)
        text = names.get(obj) or (
            f"{names[obj.ensemble]}.neurons" if isinstance(obj, Neurons) else type(obj).__name__
        )
        return text if end is obj else f"{text}[{end.slice}]"

    lines = [f"seed {network.seed}"]
    for node in network.all_nodes:
        lines.append(f"{name(node)}: {node.output}, sizes {node.size_in}, {node.size_out}")
    for ens in network.all_ensembles:
        lines.append(
            f"{name(ens)}: {ens.n_neurons} neurons, {ens.dimensions} dimensions, "
            f"{ens.neuron_type}, radius {ens.radius}, noise {ens.noise}"
        )
    for conn in network.all_connections:
        lines.append(
            f"connection {name(conn.pre)} -> {name(conn.post)}: {conn.transform}, {conn.synapse}, "
            f"function {conn.function}, {conn.solver}, {conn.learning_rule_type}"
        )
    for probe in network.all_probes:
        lines.append(
            f"probe of {probe.attr} of {name(probe.target)}: {probe.synapse}, {probe.sample_every}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    import random_comparison

    random_comparison.main()
