"""What a program computes with and without the names that libraries keep for themselves."""

import json
import sys

import numpy as np

#: modules that are blocked
BLOCKED = (
    "tensorflow.python.eager.context",
    "tensorflow.python.eager.execute",
    "tensorflow.python.framework.ops",
    "tensorflow.python.ops.control_flow_util",
    "tensorflow.compiler.tf2xla.python.xla",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
    "keras.src.activations.activations",
)


def block():
    """Let nengo_dl find none of the names, as if they had other names now."""
    import keras

    import nengo_dl._private as private

    keras.backend.backend()
    sys.modules.update(dict.fromkeys(BLOCKED))
    private.has = lambda owner, name: False


def results():
    """Values of a simulation, of training, and of a converted model."""
    return {**_trained(), **_converted()}


def _trained():
    import nengo

    import nengo_dl

    nengo.rc.set("decoder_cache", "enabled", "False")  # it may hold what another NumPy wrote
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.5])
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(node, ensemble)
        nengo.Connection(ensemble, ensemble, synapse=0.1)
        probe = nengo.Probe(ensemble, synapse=0.01)
    with nengo_dl.Simulator(net, seed=0, progress_bar=False) as sim:
        for n_steps in (40, 1, 2):
            sim.run_steps(n_steps)
        found = {"simulated": sim.data[probe].ravel()}
        for metrics in (["mae"], None):
            sim.compile("sgd", "mse", metrics=metrics)
            history = sim.fit(
                y=np.ones((2, 20, 1)), n_steps=20, epochs=2, verbose=0, stateful=False
            )
            found[f"losses with {metrics}"] = np.ravel([*history.history.values()])
        encoders, bias = sim.data[ensemble].scaled_encoders, sim.data[ensemble].bias
    return {**found, "trained": np.concatenate([np.ravel(encoders), bias])}


def _converted():
    import keras

    import nengo_dl

    x = keras.Input((3,), name="given")
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="dense")], name="inner")
    first = inner(x)
    y = keras.layers.Add(name="sum")([first, keras.ops.relu(first * 2.0)]) - inner(-x)
    model = keras.Model(x, y)
    for k, weights in enumerate(model.weights):
        weights.assign(np.cos(np.arange(np.size(weights)) + k).reshape(weights.shape))
    converter = nengo_dl.Converter(model, inference_only=True)
    values = np.linspace(-1, 1, 6).reshape(2, 3)
    with nengo_dl.Simulator(converter.net, minibatch_size=2, progress_bar=False) as sim:
        (outputs,) = sim.predict({converter.inputs[x]: values[:, None]}).values()
    return {"converted": outputs.ravel(), "by Keras": np.ravel(model(values))}


if __name__ == "__main__":
    block()
    print(json.dumps({name: np.asarray(values).tolist() for name, values in results().items()}))
