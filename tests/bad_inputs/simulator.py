"""Bad arguments of the simulator's methods."""

import keras
import nengo
import numpy as np

from bad_inputs.shared import (
    INF,
    MINIBATCH,
    NAN,
    NO_COUNTS,
    NO_DURATIONS,
    NO_FLAGS,
    NO_FUNCTIONS,
    NO_NUMBERS,
    NO_OBJECTS,
    NO_PATHS,
    NO_SEEDS,
    NO_TIMES,
    STEPS,
    THING,
    Fine,
    arrays,
    of_sim,
)
from nengo_dl import NengoLayer, callbacks, load_params_into, losses

FIT = {"x": lambda s: {s.inp: s.x}, "y": lambda s: {s.probe: s.y}, "verbose": 0}


class NoBatches(keras.utils.PyDataset):
    def __len__(self):
        return 0


class WrongBatches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return "x"


def on_stranger(method):
    return lambda s, v: getattr(s.sim, method)(v(s))


#: functions of the shared objects that give objects of another network
STRANGERS = [
    lambda s: s.stranger,
    lambda s: s.strange_conn,
    lambda s: s.strange_probe,
    lambda s: [s.ens, s.stranger],
    lambda s: [s.ens, 5],
    lambda s: s.other,
]

MAKING = [
    ("network", lambda s, v: s.make(v), NO_OBJECTS),
    ("dt", lambda s, v: s.make(s.net, dt=v), [*NO_DURATIONS, None]),
    ("seed", lambda s, v: s.make(s.net, seed=v), NO_SEEDS),
    ("model", lambda s, v: s.make(s.net, model=v), [5, "x", {}, THING, nengo.builder.Model, True]),
    ("no model", lambda s, v: s.make(None, model=v), [None, 5]),
    (
        "device",
        lambda s, v: s.make(s.net, device=v),
        [5, "x", "", True, [], "/gpu:99", "/cpu:x", THING, NAN],
    ),
    ("unroll", lambda s, v: s.make(s.net, unroll_simulation=v), [*NO_COUNTS, None]),
    ("minibatch_size", lambda s, v: s.make(s.net, minibatch_size=v), NO_COUNTS),
    ("progress_bar", lambda s, v: s.make(s.net, progress_bar=v), [5, "x", THING, [1], nengo.LIF()]),
    ("optimize", lambda s, v: s.make(s.net, optimize=v), NO_FLAGS),
]

RUNNING = [
    ("run", of_sim("run", "time_in_seconds"), [*NO_TIMES, None, Fine(0), 1e300]),
    ("run_steps", of_sim("run_steps", "n_steps"), [*NO_COUNTS, None]),
    ("run_steps(steps)", of_sim("run_steps", "steps"), NO_COUNTS),
    ("run_steps(data)", of_sim("run_steps", "data", n_steps=STEPS), arrays("inp", 2, nothing=True)),
    ("run_steps(stateful)", of_sim("run_steps", "stateful", n_steps=1), NO_FLAGS),
    ("run_steps(progress_bar)", of_sim("run_steps", "progress_bar", n_steps=1), [5, "x", THING]),
    ("step", of_sim("step", "data"), arrays("inp", 2, nothing=True)),
    ("other number of steps", lambda s, v: s.sim.run_steps(v, data={s.inp: s.x}), [1, STEPS + 1]),
    (
        "twice",
        lambda s, v: s.sim.run_steps(STEPS, data={s.inp: v(s), "inp": s.x}),
        [lambda s: s.x, lambda s: None],
    ),
    (
        "nodes",
        lambda s, v: s.sim.run_steps(STEPS, data={v(s): s.x}),
        [lambda s: s.out, lambda s: s.strange_node, lambda s: s.probe, lambda s: s.ens],
    ),
    ("predict", of_sim("predict", "x"), arrays("inp", 2)),
    ("predict(n_steps)", of_sim("predict", "n_steps"), [*NO_COUNTS, None]),
    ("predict(steps)", of_sim("predict", "steps", x=lambda s: s.x), NO_COUNTS),
    ("predict(stateful)", of_sim("predict", "stateful", x=lambda s: s.x), NO_FLAGS),
    (
        "predict(batch_size)",
        of_sim("predict", "batch_size", x=lambda s: s.x),
        [*NO_COUNTS, Fine(7)],
    ),
    (
        "predict(callbacks)",
        of_sim("predict", "callbacks", x=lambda s: s.x),
        [5, "x", [5], THING, keras.callbacks.History],
    ),
    ("predict(verbose)", of_sim("predict", "verbose", x=lambda s: s.x), ["x", THING, []]),
    ("predict, stateful", lambda s, v: s.sim.predict(v, stateful=True), [np.ones((3, STEPS, 2))]),
    ("predict, batches", of_sim("predict", "x"), [NoBatches(), WrongBatches()]),
    ("predict_on_batch", of_sim("predict_on_batch", "x"), arrays("inp", 2)),
    ("reset(seed)", of_sim("reset", "seed"), NO_SEEDS),
    *[
        (f"reset({n})", of_sim("reset", n), NO_FLAGS)
        for n in ("include_trainable", "include_probes", "include_processes")
    ],
    ("soft_reset", of_sim("soft_reset", "include_trainable"), NO_FLAGS),
    ("trange", of_sim("trange", "sample_every"), NO_DURATIONS),
    (
        "get_name",
        on_stranger("get_name"),
        [
            *STRANGERS,
            lambda s: s.out,
            lambda s: s.ens,
            lambda s: 5,
            lambda s: "inp",
            lambda s: [],
            lambda s: None,
        ],
    ),
    (
        "data",
        lambda s, v: s.sim.data[v(s)],
        [*STRANGERS, lambda s: 5, lambda s: "probe", lambda s: [], lambda s: None],
    ),
    (
        "data.raw",
        lambda s, v: s.sim.data.raw[v(s)],
        [lambda s: s.strange_probe, lambda s: 5, lambda s: []],
    ),
    (
        "closed",
        lambda s, v: v(s.closed),
        [
            lambda sim: sim.run(0.1),
            lambda sim: sim.step(),
            lambda sim: sim.run_steps(1),
            lambda sim: sim.reset(),
            lambda sim: sim.predict(n_steps=1),
            lambda sim: sim.fit(n_steps=1),
            lambda sim: sim.evaluate(n_steps=1),
            lambda sim: sim.compile(loss="mse"),
            lambda sim: sim.save_params("x"),
            lambda sim: sim.load_params("x"),
            lambda sim: sim.freeze_params([]),
            lambda sim: sim.get_nengo_params([]),
            lambda sim: sim.check_gradients(),
            lambda sim: sim.export("x", 1),
            lambda sim: sim.__enter__(),
            lambda sim: sim.train_on_batch(),
            lambda sim: sim.predict_on_batch(n_steps=1),
        ],
    ),
    ("read-only", lambda s, v: setattr(s.sim, v, 1), ["dt"]),
]

TRAINING = [
    (
        "compile(optimizer)",
        of_sim("compile", "optimizer", loss="mse"),
        [5, "x", THING, [], True, keras.layers.Layer],
    ),
    (
        "compile(loss)",
        of_sim("compile", "loss"),
        [
            5,
            "x",
            True,
            THING,
            NAN,
            {"nobody": "mse"},
            {5: "mse"},
            ["mse"],
            ["mse"] * 3,
            {"probe": 5},
            {"probe": "x"},
            [5, 5],
            nengo.LIF(),
        ],
    ),
    (
        "compile(metrics)",
        of_sim("compile", "metrics", loss="mse"),
        [5, "x", THING, {"nobody": "mse"}, [5], {"probe": 5}, [["mse"]], {"probe": ["x"]}],
    ),
    (
        "compile(loss_weights)",
        of_sim("compile", "loss_weights", loss="mse"),
        [
            "x",
            THING,
            {"nobody": 1},
            [1],
            {"probe": "x"},
            [1, None, 3],
            {"probe": [1]},
            NAN,
            1j,
            {"probe": True},
        ],
    ),
    ("compile(jit_compile)", of_sim("compile", "jit_compile", loss="mse"), ["x", 5, THING, []]),
    (
        "fit after such a compile",
        of_sim("fit", "x", y=FIT["y"], verbose=0),
        [Fine(np.ones((2, STEPS, 2)))],
    ),
    ("fit(x)", of_sim("fit", "x", y=FIT["y"], verbose=0), arrays("inp", 2)[2:]),
    ("fit(y)", of_sim("fit", "y", x=FIT["x"], verbose=0), [*arrays("probe", 2), None]),
    ("fit(n_steps)", of_sim("fit", "n_steps", **FIT), NO_COUNTS),
    ("fit(stateful)", of_sim("fit", "stateful", **FIT), NO_FLAGS),
    (
        "fit(epochs)",
        of_sim("fit", "epochs", **FIT),
        [*NO_NUMBERS, True, Fine(0), -1, 1.5, INF, None],
    ),
    ("fit(batch_size)", of_sim("fit", "batch_size", **FIT), NO_COUNTS),
    ("fit(initial_epoch)", of_sim("fit", "initial_epoch", **FIT), ["x", THING, 1.5, NAN, -1, []]),
    ("fit(steps_per_epoch)", of_sim("fit", "steps_per_epoch", **FIT), NO_COUNTS),
    (
        "fit(callbacks)",
        of_sim("fit", "callbacks", **FIT),
        [5, "x", [5], THING, keras.callbacks.History],
    ),
    (
        "fit(validation_split)",
        of_sim("fit", "validation_split", **FIT),
        ["x", NAN, -1, 1, 2, INF, THING, [], 0.5j],
    ),
    (
        "fit(validation_data)",
        of_sim("fit", "validation_data", **FIT),
        [5, "x", (5, 5), THING, [], (1, 2, 3, 4), iter([]), {}, True],
    ),
    (
        "fit(sample_weight)",
        of_sim("fit", "sample_weight", **FIT),
        [
            "x",
            THING,
            np.ones(3),
            np.ones((2, 9)),
            {"nobody": np.ones(2)},
            [],
            [1],
            "ab",
            np.array(["a", "b"]),
            1j,
        ],
    ),
    (
        "fit(class_weight)",
        of_sim("fit", "class_weight", **FIT),
        [5, "x", [1, 2], THING, {"x": 1}, {0: "x"}, {0: None}],
    ),
    ("fit, batches", of_sim("fit", "x", verbose=0), [NoBatches(), WrongBatches()]),
    ("evaluate(x)", of_sim("evaluate", "x", y=FIT["y"], verbose=0), arrays("inp", 2)[2:]),
    ("evaluate(y)", of_sim("evaluate", "y", x=FIT["x"], verbose=0), [*arrays("probe", 2), None]),
    ("evaluate(steps)", of_sim("evaluate", "steps", **FIT), NO_COUNTS),
    ("train_on_batch", of_sim("train_on_batch", "x", y=FIT["y"]), arrays("inp", 2)[2:]),
    (
        "train_on_batch(sample_weight)",
        of_sim("train_on_batch", "sample_weight", x=FIT["x"], y=FIT["y"]),
        ["x", THING, np.ones(9)],
    ),
    ("check_gradients(inputs)", of_sim("check_gradients", "inputs"), arrays("inp", 2)[2:]),
    (
        "check_gradients(outputs)",
        lambda s, v: s.sim.check_gradients(outputs=v(s) if callable(v) else v),
        [*STRANGERS, 5, "x", [5], {}, THING, True, []],
    ),
    ("check_gradients(n_steps)", of_sim("check_gradients", "n_steps"), NO_COUNTS),
    *[
        (f"check_gradients({n})", of_sim("check_gradients", n), ["x", -1, NAN, THING, [], 1j])
        for n in ("atol", "rtol")
    ],
    ("train", lambda s, v: s.sim.train(v, "sgd"), [5, "x", [], {}, None, {"x": 5}]),
    ("loss", lambda s, v: s.sim.loss(v), [5, "x", [], {}, None]),
    (
        "loss(objective)",
        lambda s, v: s.sim.loss({s.inp: s.x, s.probe: s.y}, objective=v),
        [5, "x", {5: "mse"}, THING],
    ),
    (
        "NengoSummaries(objects)",
        lambda s, v: callbacks.NengoSummaries(s.folder, s.sim, v(s)),
        [
            *STRANGERS,
            lambda s: 5,
            lambda s: "x",
            lambda s: None,
            lambda s: [s.probe],
            lambda s: [s.inp],
        ],
    ),
    (
        "NengoSummaries(sim)",
        lambda s, v: callbacks.NengoSummaries(s.folder, v, [s.ens]),
        NO_OBJECTS,
    ),
    ("NengoSummaries(log_dir)", lambda s, v: callbacks.NengoSummaries(v, s.sim, [s.ens]), NO_PATHS),
    ("IsolateState", lambda s, v: callbacks.IsolateState(v), NO_OBJECTS),
    (
        "HyperparameterScheduler",
        lambda s, v: callbacks.HyperparameterScheduler(v),
        [*NO_FUNCTIONS, None],
    ),
    (
        "HyperparameterScheduler(attribute)",
        lambda s, v: callbacks.HyperparameterScheduler(print, v),
        [5, None, [], THING, ""],
    ),
    (
        "HyperparameterScheduler(objects)",
        lambda s, v: callbacks.HyperparameterScheduler(print, objects=v),
        [5, True, THING, [5], "x"],
    ),
]

PARAMETERS = [
    *[
        row
        for method in ("get_nengo_params", "freeze_params")
        for row in [
            (method, lambda s, v, m=method: getattr(s.sim, m)(v), NO_OBJECTS),
            (f"{method}, others'", on_stranger(method), [*STRANGERS, lambda s: s.inp]),
            (
                f"{method}(item)",
                lambda s, v, m=method: getattr(s.sim, m)([s.ens, s.rule], item=v),
                [*NO_NUMBERS, True, 9, MINIBATCH, -MINIBATCH - 1, 0.5],
            ),
        ]
    ],
    ("get_nengo_params(as_dict)", lambda s, v: s.sim.get_nengo_params(s.ens, as_dict=v), NO_FLAGS),
    (
        "get_nengo_params, no labels",
        lambda s, v: s.sim.get_nengo_params(v(s), as_dict=True),
        [lambda s: [s.ens, s.ens], lambda s: s.net.connections],
    ),
    ("save_params", of_sim("save_params", "path"), [*NO_PATHS, "/nowhere/at/all", ""]),
    (
        "save_params(include_state)",
        lambda s, v: s.sim.save_params(s.folder / "again", include_state=v),
        NO_FLAGS,
    ),
    ("load_params", of_sim("load_params", "path"), [*NO_PATHS, "/nowhere/at/all", ""]),
    (
        "load_params, bad files",
        lambda s, v: s.sim.load_params(s.folder / v),
        ["text", "empty", "pickle", "others", "none", "."],
    ),
    (
        "load_params(include_state)",
        lambda s, v: s.sim.load_params(s.file, include_state=v),
        [*NO_FLAGS, True],
    ),
    ("load_params_into(network)", lambda s, v: load_params_into(v, s.file), NO_OBJECTS),
    ("load_params_into(path)", lambda s, v: load_params_into(s.net, v), [*NO_PATHS, "/nowhere"]),
    ("load_params_into, others'", lambda s, v: load_params_into(v(s), s.file), [lambda s: s.other]),
    (
        "load_params_into, bad files",
        lambda s, v: load_params_into(s.net, s.folder / v),
        ["text", "empty", "pickle", "others", "none"],
    ),
    ("export(path)", of_sim("export", "path", n_steps=1), NO_PATHS),
    ("export(n_steps)", of_sim("export", "n_steps", path="/nowhere/x"), [*NO_COUNTS, None]),
    (
        "export(inputs)",
        of_sim("export", "inputs", path="/nowhere/x", n_steps=1),
        [5, "x", [5], ["x"], THING, [None], True],
    ),
    (
        "export(format)",
        of_sim("export", "format", path="/nowhere/x", n_steps=1),
        [5, "x", None, [], THING],
    ),
    (
        "train_on_batch, loss",
        lambda s, v: s.sim.compile(loss=losses.Regularize(axis=v)),
        ["x", 1.5, [], THING],
    ),
]

LAYER = [
    (
        "NengoLayer",
        lambda s, v: NengoLayer(v),
        [*(v for v in NO_OBJECTS if v is not nengo.Ensemble), print, lambda: 5, lambda: (1, 2, 3)],
    ),
    (
        "NengoLayer(inputs)",
        lambda s, v: NengoLayer(s.net, inputs=v(s) if callable(v) else v),
        [
            5,
            "x",
            THING,
            [5],
            [],
            {},
            True,
            lambda s: s.probe,
            lambda s: s.strange_node,
            lambda s: [s.inp, s.inp],
        ],
    ),
    (
        "NengoLayer(outputs)",
        lambda s, v: NengoLayer(s.net, outputs=v(s) if callable(v) else v),
        [5, "x", THING, [5], [], {}, True, lambda s: s.inp, lambda s: s.strange_probe],
    ),
    ("NengoLayer(n_steps)", lambda s, v: NengoLayer(s.net, n_steps=v), [*NO_COUNTS, None]),
    (
        "NengoLayer(minibatch_size)",
        lambda s, v: NengoLayer(s.net, minibatch_size=v),
        [*NO_COUNTS, None],
    ),
    ("NengoLayer(dt)", lambda s, v: NengoLayer(s.net, dt=v), [*NO_DURATIONS, None]),
    ("NengoLayer(seed)", lambda s, v: NengoLayer(s.net, seed=v), NO_SEEDS),
    (
        "NengoLayer(arguments)",
        lambda s, v: NengoLayer(s.net, arguments=v),
        [5, "x", [1], {"x": 1}, THING],
    ),
]

#: names of the tables
TABLES = ("MAKING", "RUNNING", "TRAINING", "PARAMETERS", "LAYER")
