"""What a test of several devices runs in processes of its own: trains, evaluates and simulates a
small network, and prints what came of it as JSON.
"""

import json
import os
import sys
from contextlib import nullcontext


def main(how: str, process: int, port: int, folder: str) -> None:
    """``how``: "two devices", "weights", which are shared out between two devices, "two processes",
    or "killed", two processes that end in the middle of training.
    """
    processes = how in ("two processes", "killed")
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={2 - processes}"
    scope = _tensorflow(how, process, port, processes)
    import keras

    if keras.backend.backend() == "jax":
        if processes:
            keras.distribution.initialize(f"127.0.0.1:{port}", 2, process)
        parallel = keras.distribution.DataParallel()
        keras.distribution.set_distribution(_sharing_weights() if how == "weights" else parallel)
    print("RESULT", json.dumps(results(folder, scope, how == "killed")), flush=True)


def _sharing_weights():
    """A distribution of the weights of one connection over two devices."""
    from keras.distribution import DeviceMesh, LayoutMap, ModelParallel

    layouts = LayoutMap(DeviceMesh((1, 2), ("batch", "model")))
    layouts["weights_of_.*"] = (None, "model")
    return ModelParallel(layout_map=layouts)


def _tensorflow(how: str, process: int, port: int, processes: bool):
    """Context in which TensorFlow's variables are made."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return nullcontext
    import tensorflow as tf

    if how == "two devices":
        cpu, one = tf.config.list_physical_devices("CPU")[0], tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [one, one])
        return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]).scope
    if processes:
        workers = [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]
        task = {"type": "worker", "index": process}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        return tf.distribute.MultiWorkerMirroredStrategy().scope
    raise ValueError(how)


def results(folder: str, scope=nullcontext, killed: bool = False) -> dict:
    """Losses and values; ``scope`` is the context in which variables are made."""
    import keras
    import nengo
    import numpy as np

    import nengo_dl

    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].neuron_type = nengo.Tanh()
        stimulus = nengo.Node(np.zeros(3), label="stimulus")
        ens = nengo.Ensemble(20, 3, label="ens")
        nengo.Connection(stimulus, ens, synapse=None)
        out = nengo.Node(size_in=2, label="out")
        nengo.Connection(ens.neurons, out, transform=rng.uniform(-0.1, 0.1, (2, 20)), label="out")
        probe = nengo.Probe(out, synapse=0.01, label="probe")
    x, y = rng.uniform(-1, 1, (20, 6, 3)), rng.uniform(-1, 1, (20, 6, 2))
    keras.utils.set_random_seed(0)
    backup = keras.callbacks.BackupAndRestore(f"{folder}/backup", delete_checkpoint=False)
    best = keras.callbacks.ModelCheckpoint(f"{folder}/best.weights.h5", save_weights_only=True)
    with scope():
        sim = nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False)
        sim.compile(keras.optimizers.Adam(0.01), loss={probe: "mse"})
    with sim:
        end = keras.callbacks.LambdaCallback(on_epoch_end=_end_of_process)
        history = sim.fit(
            {stimulus: x},
            {probe: y},
            epochs=4,
            callbacks=[*[end][:killed], backup, best],
            shuffle=False,  # a process that goes on draws other numbers
            verbose=0,
        ).history
        sim.run_steps(6, data={stimulus: x[:8]})
        sim.save_params(f"{folder}/params")
        return {
            "loss": history["loss"],
            "evaluate": sim.evaluate({stimulus: x[:16]}, {probe: y[:16]}, verbose=0)["loss"],
            "data": sim.data[probe].tolist(),
            "places": sorted({str(_spec(w)) for w in sim.keras_model.trainable_weights}),
        }


def _spec(weight) -> tuple:
    """Along which axes of the devices a weight is cut."""
    return tuple(getattr(getattr(weight.value, "sharding", None), "spec", ()))


def _end_of_process(epoch: int, logs=None) -> None:
    """As a kill, once two epochs are saved and the third is computed."""
    if epoch == 2:
        os._exit(9)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
