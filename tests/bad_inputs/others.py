"""Bad arguments of everything around the simulator."""

import click
import keras
import nengo
import numpy as np
from click.testing import CliRunner

import nengo_dl
from bad_inputs.shared import (
    INF,
    NAN,
    NO_COUNTS,
    NO_DURATIONS,
    NO_FLAGS,
    NO_FUNCTIONS,
    NO_NUMBERS,
    NO_OBJECTS,
    NO_PATHS,
    THING,
    Fine,
    argument,
)
from nengo_dl import (
    cli,
    constraints,
    dists,
    energy,
    layers,
    losses,
    neurons,
    quantization,
    regularizers,
    surrogates,
    viz,
)

NO_SHAPES = [
    5,
    "x",
    "ab",
    (0,),
    (-1,),
    (1.5,),
    (None,),
    ("x",),
    [(1,), 5],
    {"a": 5},
    {},
    THING,
    NAN,
    True,
    [[[1]]],
]


def setting(name):
    return name, lambda s, v: s.configure(**{name: v})


def of_object(s, name, value):
    with nengo.Network() as net:
        nengo_dl.configure_settings(**{name: None if name != "keep_history" else True})
        ens = nengo.Ensemble(3, 1)
        conn = nengo.Connection(ens, ens)
        probe = nengo.Probe(ens)
    obj = probe if name == "keep_history" else conn
    setattr(net.config[obj], name, value)


def command(s, arguments):
    """A command that has to end with a message, and not with a traceback."""
    result = CliRunner().invoke(cli.main, [a.format(folder=s.folder) for a in arguments])
    if result.exit_code:
        if not isinstance(result.exception, SystemExit):
            raise result.exception
        raise click.ClickException(result.output)


SETTINGS = [
    *[
        (*setting(name), [v for v in NO_FLAGS])
        for name in (
            "trainable",
            "inference_only",
            "keep_history",
            "stateful",
            "use_loop",
            "learning_phase",
            "jit_compile",
            "persistent",
            "sequence_kernels",
        )
    ],
    *[(*setting(name), NO_FUNCTIONS) for name in ("planner", "sorter", "regularizer")],
    (*setting("simplifications"), [5, "x", [5], ["x"], True, THING, print]),
    (*setting("lif_smoothing"), [*NO_NUMBERS, -1, INF]),
    (*setting("dtype"), [5, "x", "float16", "int32", int, THING, [], {}, np.complex64, None]),
    (*setting("quantizer"), [1, 17, "x", 4.5, [], {}, THING, NAN]),
    (*setting("threads"), [0, -1, 1.5, "x", [], {}, THING, NAN, True]),
    (*setting("checkpoint_segments"), [0, -1, 1.5, "x", [], {}, THING, NAN]),
    (*setting("trainable_attributes"), [5, [5], {"a": 1}, THING, True, "not a name"]),
    *[
        (*setting(name), [None])
        for name in ("inference_only", "keep_history", "stateful", "persistent")
    ],
    *[
        (f"config[obj].{n}", lambda s, v, n=n: of_object(s, n, v), NO_FLAGS[:5])
        for n in ("trainable", "keep_history")
    ],
    ("config[obj].quantizer", lambda s, v: of_object(s, "quantizer", v), [1, "x", THING]),
    ("unknown setting", lambda s, v: s.configure(**{v: 1}), ["trainables", "x", "Dtype"]),
    ("outside of a network", lambda s, v: nengo_dl.configure_settings(trainable=v), [True, None]),
    ("get_setting", lambda s, v: nengo_dl.config.get_setting(s.net, v), ["x", 5, None]),
]

NODES = [
    (
        "TensorNode",
        lambda s, v: s.node(v),
        [
            5,
            "x",
            None,
            [],
            THING,
            NAN,
            keras.layers.Dense,
            lambda: 1,
            lambda a, b, c: a,
            lambda t: "x",
            lambda t: None,
        ],
    ),
    ("TensorNode(shape_in)", lambda s, v: s.node(lambda t, x: x, shape_in=v), NO_SHAPES),
    (
        "TensorNode(shape_out)",
        lambda s, v: s.node(lambda t, x: x, shape_in=(2,), shape_out=v),
        [*NO_SHAPES, (3,)],
    ),
    (
        "TensorNode(pass_time)",
        lambda s, v: s.node(keras.ops.tanh, shape_in=(2,), pass_time=v),
        NO_FLAGS,
    ),
    ("TensorNode, no arguments", lambda s, v: s.node(v, pass_time=False), [keras.ops.tanh]),
    (
        "TensorNode(size_in)",
        lambda s, v: s.node(lambda t, x: x, size_in=v),
        ["x", -1, 1.5, THING, NAN],
    ),
    (
        "Layer",
        lambda s, v: s.layer(func=v),
        [5, "x", None, [], THING, NAN, {}, keras.layers.Dense, nengo.Ensemble],
    ),
    ("Layer(input)", lambda s, v: s.layer(v), [5, "x", None, [], THING, {}]),
    ("Layer(shape_in)", lambda s, v: s.layer(shape_in=v), NO_SHAPES),
    ("Layer(transform)", lambda s, v: s.layer(transform=v), [np.ones((2, 3)), [[[1]]]]),
    ("Layer(synapse)", lambda s, v: s.layer(synapse=v), ["x", THING, -1, {}, []]),
    ("Layer(return_conn)", lambda s, v: s.layer(return_conn=v), NO_FLAGS),
    ("Layer(unknown)", lambda s, v: s.layer(nobody=v), [1]),
    (
        "register_neurons",
        lambda s, v: nengo_dl.register_neurons(v)(lambda J, x: J),
        [5, None, "x", int, nengo.Ensemble, []],
    ),
]

CONVERTER = [
    (
        "Converter",
        lambda s, v: nengo_dl.Converter(v),
        [*NO_OBJECTS, keras.layers.Dense(2), keras.Model, keras.Sequential(), nengo.Network()],
    ),
    *[
        (f"Converter({n})", lambda s, v, n=n: nengo_dl.Converter(s.model, **{n: v}), NO_FLAGS)
        for n in (
            "allow_fallback",
            "inference_only",
            "max_to_avg_pool",
            "split_shared_weights",
            "temporal_model",
        )
    ],
    (
        "swap_activations",
        lambda s, v: nengo_dl.Converter(s.model, swap_activations=v),
        [
            5,
            "x",
            [],
            {"relu": "lif"},
            {"relu": 5},
            {5: nengo.LIF()},
            {"x": nengo.LIF()},
            Fine({"relu": None}),
            {None: nengo.LIF()},
            {"relu": nengo.Ensemble},
            {"tanh": nengo.LIF()},
            THING,
        ],
    ),
    (
        "scale_firing_rates",
        lambda s, v: nengo_dl.Converter(s.model, scale_firing_rates=v),
        ["x", -1, 0, NAN, INF, [], THING, {"nobody": 1}, {5: 1}, {"dense": "x"}, "auto", True, 1j],
    ),
    (
        "synapse",
        lambda s, v: nengo_dl.Converter(s.model, synapse=v),
        ["x", -1, NAN, INF, [], THING, {"nobody": 0.1}, {5: 1}, True, 1j],
    ),
    (
        "sample_inputs",
        lambda s, v: nengo_dl.Converter(s.model, scale_firing_rates="auto", sample_inputs=v),
        [5, "x", [], THING, np.ones(3), np.ones((2, 5)), {"x": np.ones((2, 3))}, NAN],
    ),
    (
        "target_rate",
        lambda s, v: nengo_dl.Converter(
            s.model, scale_firing_rates="auto", sample_inputs=np.ones((2, 3)), target_rate=v
        ),
        [*NO_NUMBERS, 0, -1, INF, True],
    ),
    (
        "verify(inputs)",
        lambda s, v: nengo_dl.Converter(s.model).verify(inputs=v),
        [5, "x", [], THING, np.ones(3), np.ones((2, 5)), {"x": np.ones((2, 3))}],
    ),
    ("layers", lambda s, v: nengo_dl.Converter(s.model).layers[v], ["x", 5, None, THING]),
    (
        "register",
        lambda s, v: nengo_dl.Converter.register(v)(nengo_dl.converter.LayerConverter),
        [5, "x", None, THING, int],
    ),
]

FILTERS = [
    (cls.__name__, cls)
    for cls in (layers.Lowpass, layers.Alpha, layers.LowpassCell, layers.AlphaCell)
]
NEURONS = [(cls.__name__, cls) for cls in (layers.LIF, layers.LIFCell)]
LAYERS = [
    *[
        (f"{n}(tau)", argument(c, "tau"), ["x", -1, 0, NAN, INF, THING, [-1], 1j])
        for n, c in FILTERS
    ],
    *[
        (f"{n}(dt)", argument(c, "dt"), [v for v in NO_DURATIONS if v is not True])
        for n, c in FILTERS[:1]
    ],
    *[
        (f"{n}(initial_level)", argument(c, "initial_level"), ["x", NAN, INF, THING, 1j])
        for n, c in FILTERS
    ],
    *[
        (f"{n}(trainable_attributes)", argument(c, "trainable_attributes"), ["x", ["x"], 5, THING])
        for n, c in FILTERS + NEURONS
    ],
    *[
        (f"{n}({a})", argument(c, a), ["x", -1, NAN, INF, THING, 1j])
        for n, c in NEURONS
        for a in ("tau_rc", "amplitude")
    ],
    *[(f"{n}(dt)", argument(c, "dt"), ["x", -1, 0, NAN, THING]) for n, c in NEURONS],
    ("LIFCell(units)", argument(layers.LIFCell, "units"), ["x", -1, 0, 1.5, NAN, THING, True]),
    *[
        (
            f"LMU({a})",
            argument(
                layers.LMU,
                a,
                **{k: v for k, v in {"units": 2, "order": 3, "theta": 4.0}.items() if k != a},
            ),
            ["x", -1, 0, NAN, THING, []],
        )
        for a in ("units", "order", "theta")
    ],
    (
        "LMU(discretizer)",
        argument(layers.LMU, "discretizer", units=2, order=3, theta=4.0),
        [5, "x", None, THING],
    ),
    *[
        (
            f"LegendreMemory({a})",
            argument(
                layers.LegendreMemory,
                a,
                **{k: v for k, v in {"order": 3, "theta": 4.0}.items() if k != a},
            ),
            ["x", -1, 0, NAN, THING, []],
        )
        for a in ("order", "theta")
    ],
    (
        "SpikingActivation",
        argument(layers.SpikingActivation, "activation"),
        [5, "x", THING, [], True],
    ),
    (
        "SpikingActivation(dt)",
        argument(layers.SpikingActivation, "dt", activation="relu"),
        ["x", -1, 0, NAN, THING],
    ),
    (
        "SequenceLayer",
        argument(layers.SequenceLayer, "cell"),
        [5, "x", None, THING, keras.layers.Dense(2)],
    ),
    ("default.dt", lambda s, v: setattr(layers.default, "dt", v), ["x", -1, 0, NAN, THING, True]),
]

SMALL = [
    ("Regularize(order)", argument(losses.Regularize, "order"), ["x", 0, -1, NAN, THING, [], None]),
    ("Regularize(axis)", argument(losses.Regularize, "axis"), ["x", 1.5, [], THING, [1.5]]),
    (
        "FiringRates",
        argument(losses.FiringRates, "regularizer"),
        [5, "x", None, THING, keras.regularizers.L2(), {}],
    ),
    *[
        (f"{c.__name__}({a})", argument(c, a), ["x", -1, NAN, THING, [], None, 1j])
        for c, a in (
            (regularizers.L1, "l1"),
            (regularizers.L2, "l2"),
            (regularizers.L1L2, "l1"),
            (regularizers.Percentile, "l2"),
        )
    ],
    (
        "target",
        argument(regularizers.L2, "target"),
        ["x", NAN, (2, 1), (1, 2, 3), THING, None, [], 1j],
    ),
    (
        "percentile",
        argument(regularizers.Percentile, "percentile"),
        ["x", -1, 101, NAN, THING, None],
    ),
    ("RangedRegularizer", argument(regularizers.RangedRegularizer, "regularizer"), [5, "x", THING]),
    ("Mean", argument(constraints.Mean, "axis"), ["x", 1.5, THING, {}]),
    *[
        (f"{c.__name__}(scale)", argument(c, "scale"), ["x", -1, THING, [], None])
        for c in (dists.VarianceScaling, dists.Glorot, dists.He)
    ],
    *[
        (f"{c.__name__}(distribution)", argument(c, "distribution"), ["x", 5, THING, [], None])
        for c in (dists.VarianceScaling, dists.Glorot, dists.He)
    ],
    ("VarianceScaling(mode)", argument(dists.VarianceScaling, "mode"), ["x", 5, THING, None]),
    *[
        (f"TruncatedNormal({a})", argument(dists.TruncatedNormal, a), ["x", THING, []])
        for a in ("mean", "stddev", "limit")
    ],
    ("sample", lambda s, v: dists.Glorot().sample(v), ["x", -1, 1.5, THING, NAN, None]),
    ("SoftLIFRate", argument(neurons.SoftLIFRate, "sigma"), ["x", 0, -1, THING, None, []]),
    ("LeakyReLU", argument(neurons.LeakyReLU, "negative_slope"), ["x", THING, None, []]),
    ("ClippedReLU", argument(neurons.ClippedReLU, "max_value"), ["x", THING, []]),
    (
        "Quantizer(bits)",
        argument(quantization.Quantizer, "bits"),
        ["x", 1, 17, 4.5, NAN, THING, None, True],
    ),
    ("Quantizer(step)", argument(quantization.Quantizer, "step"), ["x", 0, -1, NAN, THING, []]),
    *[
        (f.__name__, lambda s, v, f=f: f(v), ["x", 0, -1, NAN, THING, None])
        for f in (surrogates.fast_sigmoid, surrogates.arctan, surrogates.triangle)
    ],
    ("surrogates.get", lambda s, v: surrogates.get(v), [5, "x", THING, []]),
    ("count_simulator", lambda s, v: energy.count_simulator(v), NO_OBJECTS),
    ("count_simulator(n_steps)", lambda s, v: energy.count_simulator(s.sim, n_steps=v), NO_COUNTS),
    (
        "count_simulator(rates)",
        lambda s, v: energy.count_simulator(s.sim, rates=v),
        [5, "x", [1], THING],
    ),
    ("count_model", lambda s, v: energy.count_model(v, np.ones((2, 3))), NO_OBJECTS),
    ("count_model(x)", lambda s, v: energy.count_model(s.model, v), [5, "x", THING]),
    (
        "count_model(dt)",
        lambda s, v: energy.count_model(s.model, np.ones((2, 3)), dt=v),
        ["x", -1, 0, NAN, THING],
    ),
    ("input node", lambda s, v: nengo_dl.InputNode(v), ["x", -1, 1.5, THING, None]),
]

DRAWING = [
    (
        "raster",
        lambda s, v: viz.raster(v),
        [5, "x", None, THING, {}, np.ones((1, 1, 1, 1)), np.ones((0, 2)), [[1], [2, 3]]],
    ),
    ("raster(probe)", lambda s, v: viz.raster(s.sim, v), [5, "x", None, THING, [], {}]),
    ("raster(item)", lambda s, v: viz.raster(s.sim, s.spikes, item=v), [*NO_NUMBERS, 9, -9, 0.5]),
    ("raster(dt)", lambda s, v: viz.raster(np.ones((3, 2)), dt=v), NO_DURATIONS),
    (
        "raster(order)",
        lambda s, v: viz.raster(np.ones((3, 2)), order=v),
        [5, "x", [0, 9], [0.5], THING],
    ),
    ("rates(smooth)", lambda s, v: viz.rates(s.sim, s.spikes, smooth=v), [-1]),
    ("rates", lambda s, v: viz.rates(v), [5, "x", None, THING]),
    ("decoded", lambda s, v: viz.decoded(v), [5, "x", None, THING]),
    ("decoded(dims)", lambda s, v: viz.decoded(s.sim, s.probe, dims=v), [5, [9]]),
    ("decoded(target)", lambda s, v: viz.decoded(s.sim, s.probe, target=v), [np.ones(9)]),
    ("learning_curve", lambda s, v: viz.learning_curve(v), [5, "x", None, THING, {}, []]),
    (
        "learning_curve(metric)",
        lambda s, v: viz.learning_curve({"loss": [1.0]}, v),
        ["x", 5, THING],
    ),
    ("network_graph", lambda s, v: viz.network_graph(v), NO_OBJECTS),
    ("network_graph(format)", lambda s, v: viz.network_graph(s.net, v), [5, "x", THING, []]),
    (
        "network_graph(depth)",
        lambda s, v: viz.network_graph(s.net, depth=v),
        ["x", -1, 1.5, NAN, THING],
    ),
    (
        "parameter_values",
        lambda s, v: viz.parameter_values(s.sim, v),
        [*NO_OBJECTS, nengo.Network()],
    ),
    ("parameter_values(sim)", lambda s, v: viz.parameter_values(v, s.ens), NO_OBJECTS),
    ("tuning_curves", lambda s, v: viz.tuning_curves(s.sim, v), NO_OBJECTS),
    ("tuning_curves(sim)", lambda s, v: viz.tuning_curves(v, s.ens), NO_OBJECTS),
    ("weight_histogram", lambda s, v: viz.weight_histogram(v), ["x", None, THING, {}, []]),
    (
        "weight_histogram(bins)",
        lambda s, v: viz.weight_histogram(np.ones(3), bins=v),
        [0, -1, 1.5, THING, None],
    ),
    ("weight_histograms", lambda s, v: viz.weight_histograms(s.sim, v), [5, "x", [5], THING, []]),
    (
        "animate",
        lambda s, v: viz.animate(s.sim, v),
        [5, "x", None, {}, [], THING, {"a": 5}, {"a": None}],
    ),
    (
        "animate(every)",
        lambda s, v: viz.animate(s.sim, {"a": s.probe}, every=v),
        [0, -1, 1.5, "x", NAN, THING],
    ),
]

GRAPHS = [
    (
        "from_nir",
        lambda s, v: nengo_dl.nir.from_nir(v),
        [*NO_PATHS, "/nowhere.nir", nengo.Network()],
    ),
    ("from_nir, bad files", lambda s, v: nengo_dl.nir.from_nir(s.folder / v), ["text.npz", "none"]),
    ("to_nir", lambda s, v: nengo_dl.nir.to_nir(v), NO_OBJECTS),
    ("to_nir(dt)", lambda s, v: nengo_dl.nir.to_nir(s.other, dt=v), NO_DURATIONS),
    ("to_nir(method)", lambda s, v: nengo_dl.nir.to_nir(s.other, method=v), ["x", 5, None, THING]),
    ("to_nir(nir_dt)", lambda s, v: nengo_dl.nir.to_nir(s.other, nir_dt=v), NO_DURATIONS),
]

COMMANDS = [
    (
        "nengo-dl",
        command,
        [
            ["nobody"],
            ["convert"],
            ["convert", "/nowhere.keras"],
            ["convert", "{folder}/text.npz"],
            ["convert", "{folder}"],
            ["convert", "{folder}/text.keras"],
            ["convert", "{folder}/text.keras", "--swap", "x"],
            ["convert", "{folder}/text.keras", "-o", "x.txt"],
            ["convert", "{folder}/text.keras", "--synapse", "-1"],
            ["convert", "{folder}/text.keras", "--synapse", "x"],
            ["export"],
            ["export", "x", "y"],
            ["export", "nobody:x", "y.nir"],
            ["export", "os:nobody", "y.nir"],
            ["export", "os:sep", "y.nir"],
            ["export", "os:getcwd", "y.nir"],
            ["export", "os:getcwd", "y.nir", "--params", "/nowhere"],
            ["export", "os:getcwd", "y"],
            ["export", "os:getcwd", "y", "--steps", "0"],
            ["export", "os:getcwd", "y.nir", "--dt", "x"],
            ["export", ":", "y.nir"],
            ["export", "os:", "y.nir"],
            ["export", ":x", "y.nir"],
            ["export", ".:x", "y.nir"],
            ["demo", "--seconds", "x"],
            ["demo", "--minibatch", "0"],
            ["demo", "--epochs", "-1"],
            ["benchmark", "--nobody"],
        ],
    ),
]

#: names of the tables
TABLES = ("SETTINGS", "NODES", "CONVERTER", "LAYERS", "SMALL", "DRAWING", "GRAPHS", "COMMANDS")
