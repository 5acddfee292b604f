"""Keras's callbacks and optimizers, ours, and interrupted training."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime.training.callbacks import batches_per_call, sees_batches
from training.conftest import parameters, simulator

K = keras.callbacks


@pytest.fixture
def fit(model, arrays):
    """Fits with callbacks, and gives the simulator and the history."""
    sims = []

    def fit(callbacks=(), epochs=3, optimizer=None, **kwargs):
        sim = simulator(model)
        sims.append(sim)
        sim.compile(optimizer or keras.optimizers.SGD(0.01), loss="mse")
        data = [list(arrays[:2]), list(arrays[2:])]
        kwargs = {"validation_split": 0.25, "shuffle": False, **kwargs}
        return sim, sim.fit(*data, epochs=epochs, callbacks=list(callbacks), **kwargs).history

    yield fit
    for sim in sims:
        sim.close()


def rate(sim):
    return float(keras.ops.convert_to_tensor(sim.keras_model.optimizer.learning_rate))


@pytest.mark.core
def test_callbacks_of_keras(fit, tmp_path):
    class Steep(K.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 1e6

    callbacks = [
        K.LearningRateScheduler(lambda epoch, lr: 0.01 / (epoch + 1)),
        K.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=10),
        K.CSVLogger(str(tmp_path / "log.csv")),
        K.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True),
        K.TerminateOnNaN(),
    ]
    sim, history = fit(callbacks)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.005, 0.01 / 3], rtol=1e-5)
    assert rate(sim) == pytest.approx(0.01 / 6)
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert len(log) == 4 and "val_first_loss" in log[0]
    after = parameters(sim)
    sim.keras_model.load_weights(tmp_path / "1.weights.h5")
    assert not np.allclose(parameters(sim)[0], after[0], rtol=1e-6, atol=0)
    sim.keras_model.load_weights(tmp_path / "3.weights.h5")
    for a, b in zip(parameters(sim), after, strict=True):
        np.testing.assert_array_equal(a, b)
    stop = K.EarlyStopping(
        monitor="val_second_loss", mode="min", min_delta=10, restore_best_weights=True
    )
    _, history = fit([stop], epochs=5)
    assert len(history["loss"]) == 2
    _, history = fit([Steep(), K.TerminateOnNaN()], epochs=100)
    assert len(history["loss"]) < 100 and not np.isfinite(history["loss"][-1])


def test_optimizers(fit):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.1)
    optimizers = keras.optimizers
    for optimizer in (
        optimizers.Adam(schedule),
        optimizers.SGD(0.01, momentum=0.9, nesterov=True, clipnorm=1.0),
        optimizers.AdamW(1e-3, use_ema=True),
        optimizers.Lion(1e-3),
    ):
        sim, history = fit(optimizer=optimizer, epochs=2, validation_split=0)
        assert history["loss"][-1] < history["loss"][0]
        assert int(keras.ops.convert_to_tensor(sim.keras_model.optimizer.iterations)) == 8
        sim.close()


def test_which_callbacks_see_batches(tmp_path):
    path = str(tmp_path / "a.weights.h5")

    class OwnBatches(K.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    class OwnCheckpoint(K.ModelCheckpoint):
        pass

    class OwnLogger(K.CSVLogger):
        def on_batch_begin(self, batch, logs=None):
            pass

    by_epoch = [
        K.EarlyStopping(),
        K.ReduceLROnPlateau(),
        K.LearningRateScheduler(lambda e: 0.1),
        K.CSVLogger("a"),
        K.History(),
        K.ProgbarLogger(),
        K.ModelCheckpoint(path, save_weights_only=True),
        OwnCheckpoint(path, save_weights_only=True),
        K.BackupAndRestore(str(tmp_path)),
        K.TensorBoard(str(tmp_path)),
        K.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        K.CallbackList([K.History()]),
    ]
    by_batch = [
        OwnBatches(),
        OwnLogger("a"),
        K.TerminateOnNaN(),
        K.ModelCheckpoint(path, save_weights_only=True, save_freq=10),
        OwnCheckpoint(path, save_weights_only=True, save_freq=10),
        K.BackupAndRestore(str(tmp_path), save_freq=10),
        K.TensorBoard(str(tmp_path), update_freq="batch"),
        K.TensorBoard(str(tmp_path), update_freq=5),
        K.TensorBoard(str(tmp_path), write_steps_per_second=True),
        K.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
        K.CallbackList([OwnBatches()]),
    ]
    assert [c for c in by_epoch if sees_batches(c)] == []
    assert [c for c in by_batch if not sees_batches(c)] == []
    numbers = {n: batches_per_call(by_epoch, n) for n in (None, 1, 7, 25, 26, 97, 128, 1200)}
    assert numbers == {None: 1, 1: 1, 7: 7, 25: 25, 26: 13, 97: 25, 128: 16, 1200: 25}
    assert batches_per_call([*by_epoch, by_batch[0]], 100) == 1


@pytest.mark.core
def test_batches_per_call_changes_nothing(model, arrays):
    """Also where it does not divide the number of batches. What the user chose is done."""
    rng = np.random.RandomState(0)
    x = [rng.uniform(-1, 1, size=(29, 1, n)) for n in (2, 1)]
    y = [rng.uniform(-1, 1, size=(29, 1, n)) for n in (2, 3)]
    results, seen = [], []
    every = K.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    for callbacks, kwargs, expected in (
        ([], {}, 25),
        ([every], {}, 1),
        ([], dict(steps_per_execution=3), 3),
    ):
        with simulator(model, minibatch_size=1) as sim:
            sim.compile(keras.optimizers.SGD(0.01), loss="mse", **kwargs)
            history = sim.fit(x, y, epochs=2, shuffle=False, callbacks=callbacks).history
            assert sim.keras_model.steps_per_execution == expected
            results.append([*parameters(sim), history["loss"]])
    assert seen == [*range(29), *range(29)]
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def events(folder):
    """The values in the event files of a folder by tag, in the order of the steps."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    reader = accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return {
        tag: [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


def test_summaries_can_be_read_back(model, arrays, tmp_path):
    pytest.importorskip("tensorboard")
    ens = model.net.ensembles[0]
    conn = model.net.connections[-1]
    with simulator(model) as sim:
        sim.compile(keras.optimizers.SGD(0.01), loss="mse")
        summaries = nengo_dl.callbacks.NengoSummaries(tmp_path / "own", sim, [ens, conn])
        board = nengo_dl.callbacks.TensorBoard(tmp_path / "keras", histogram_freq=1)
        before = sim.data[conn].weights.copy()
        data = [list(arrays[:2]), list(arrays[2:])]
        history = sim.fit(*data, epochs=2, callbacks=[summaries, board]).history
        after = sim.data[conn].weights
        with pytest.raises(nengo.exceptions.ValidationError, match="has no parameters"):
            nengo_dl.callbacks.NengoSummaries(tmp_path, sim, [model.left])
        with pytest.raises(
            nengo.exceptions.ValidationError, match="not in the simulator's network"
        ):
            with nengo.Network(add_to_container=False):
                nengo_dl.callbacks.NengoSummaries(tmp_path, sim, [nengo.Ensemble(1, 1)])
    read = events(tmp_path / "own")
    assert {tag.rsplit("/")[-1] for tag in read} == {"encoders", "gain", "bias", "weights"}
    weights = next(values for tag, values in read.items() if tag.endswith("weights"))
    assert [step for step, _ in weights] == [0, 1, 2]
    for (_, histogram), expected in zip(weights[::2], (before, after), strict=True):
        assert histogram[:, 2].sum() == expected.size
        assert histogram[0, 0] == pytest.approx(expected.min())
        assert histogram[-1, 1] == pytest.approx(expected.max())
    read = events(tmp_path / "keras" / "train")
    np.testing.assert_allclose([v for _, v in read["epoch_loss"]], history["loss"], rtol=1e-5)
    assert any("histogram" in tag for tag in read)


@pytest.mark.core
def test_pictures_of_probes_can_be_read_back(tmp_path):
    pytest.importorskip("tensorflow")
    pytest.importorskip("tensorboard")
    image = pytest.importorskip("PIL.Image")
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(np.zeros(1), label="stim")
        ens = nengo.Ensemble(20, 1, label="ens")
        nengo.Connection(stim, ens, synapse=None)
        out = nengo.Probe(ens, label="out")
        spikes = nengo.Probe(ens.neurons, label="spikes")
    x = np.linspace(-1, 1, 8)[:, None, None]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        with pytest.raises(nengo.exceptions.ValidationError, match="neither data nor n_steps"):
            nengo_dl.callbacks.NengoSummaries(tmp_path, sim, [spikes])
        sim.compile(keras.optimizers.SGD(0.01), loss={out: "mse"})
        data = {stim: np.ones((2, 50, 1))}
        summaries = nengo_dl.callbacks.NengoSummaries(tmp_path, sim, [ens, spikes, out], data)
        sim.fit({stim: x}, {out: x}, epochs=2, verbose=0, callbacks=[summaries])
        assert sim.n_steps == 0 and len(sim.data[spikes][0]) == 0
    read = events(tmp_path)
    assert {tag.rsplit("/")[-1] for tag in read} == {"encoders", "gain", "bias", "picture"}
    pictures = [values for tag, values in read.items() if tag.endswith("picture")]
    assert len(pictures) == 2
    for values in pictures:
        assert [step for step, _ in values] == [0, 1, 2]
        width, height, png = values[0][1]
        assert (width, height) == (b"640", b"360")
        pixels = np.asarray(image.open(io.BytesIO(png)))
        assert np.mean(pixels < 128) > 0.003  # something is drawn


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
import keras
import numpy as np
import os
import signal
import nengo_dl
from training.conftest import regression, simulator

folder, kill = sys.argv[1], len(sys.argv) > 2
rng = np.random.RandomState(0)
data = [[rng.uniform(-1, 1, size=(16, 2, n)) for n in sizes] for sizes in ((2, 1), (2, 3))]

class Kill(keras.callbacks.Callback):
    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        print("epoch", epoch)

    def on_train_batch_end(self, batch, logs=None):
        if kill and self.epoch == 2 and batch == 1:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

with simulator(regression()) as sim:
    sim.compile(keras.optimizers.Adam(0.01), loss="mse")
    callbacks = [keras.callbacks.BackupAndRestore(folder), Kill()]
    history = sim.fit(*data, epochs=4, shuffle=False, callbacks=callbacks)
    print("loss", history.history["loss"][-1])
    if not kill:
        # a later call starts with its first epoch
        print("again", len(sim.fit(*data, epochs=2).history["loss"]))
"""


def test_killed_training_goes_on(tmp_path):
    tests = Path(__file__).parents[1]
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("{paths!r}", repr([str(tests), str(tests.parent)])))

    def run(*arguments):
        command = [sys.executable, str(script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        lines = [line.split() for line in done.stdout.splitlines()]
        found = {
            word: [line[1] for line in lines if line and line[0] == word]
            for word in ("epoch", "loss", "again")
        }
        return done.returncode, found, done.stderr

    code, found, error = run(str(tmp_path / "backup"), "kill")
    assert code == -signal.SIGKILL and found["epoch"] == ["0", "1", "2"], error
    code, resumed, error = run(str(tmp_path / "backup"))
    assert code == 0 and resumed["epoch"] == ["2", "3"], error
    assert resumed["again"] == ["2"]
    _, whole, _ = run(str(tmp_path / "other"))
    assert whole["epoch"] == ["0", "1", "2", "3"]
    assert float(resumed["loss"][0]) == pytest.approx(float(whole["loss"][0]), rel=1e-6)


@pytest.mark.core
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_interrupted(model, arrays, method):
    """Ctrl-C keeps the parameters after the last batch, and everything can go on."""
    data = [list(arrays[:2]), list(arrays[2:])]
    with simulator(model) as sim:
        sim.compile(keras.optimizers.SGD(0.01), loss="mse")
        before = sim.evaluate(*data)["loss"]
        sim.fit(*data)
        trained = sim.evaluate(*data)["loss"]
        assert trained < before
        count = 0

        def interrupt(batch, logs):
            nonlocal count
            count += 1
            if count == 3:
                os.kill(os.getpid(), signal.SIGINT)

        hooks = {"on_train_batch_begin": interrupt, "on_test_batch_begin": interrupt}
        arguments = {"epochs": 10} if method == "fit" else {}
        with pytest.raises(KeyboardInterrupt):
            getattr(sim, method)(*data, callbacks=[K.LambdaCallback(**hooks)], **arguments)
        assert count == 3
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        after = sim.evaluate(*data)["loss"]
        assert after < trained if method == "fit" else after == pytest.approx(trained)
        assert sim.fit(*data, epochs=2).history["loss"][-1] < after
        sim.run_steps(2)


def test_a_callback_that_raises(model, arrays):
    data = [list(arrays[:2]), list(arrays[2:])]

    class Failing(K.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("enough")

    with simulator(model) as sim:
        sim.compile(keras.optimizers.SGD(0.01), loss="mse")
        with pytest.raises(RuntimeError, match="enough"):
            sim.fit(*data, callbacks=[Failing()])
        assert np.isfinite(sim.fit(*data).history["loss"]).all()


def test_training_in_a_thread(model, arrays):
    """Signals are for the main thread, training is for any."""
    results = []

    def train():
        with simulator(model) as sim:
            sim.compile("sgd", loss="mse")
            results.append(sim.fit(list(arrays[:2]), list(arrays[2:])).history)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(results) == 1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    """Keras layers inside the network have Keras's policy, all else the network's precision."""
    keras.config.set_dtype_policy(policy)
    try:
        with nengo.Network(seed=0) as net:
            inp = nengo.Node(np.zeros(3))
            hidden = nengo_dl.Layer(keras.layers.Dense(8))(inp)
            ens = nengo_dl.Layer(nengo.RectifiedLinear())(hidden)
            out = nengo_dl.Layer(keras.layers.Dense(2))(ens)
            probe = nengo.Probe(out)
        x = np.random.RandomState(0).uniform(-1, 1, size=(16, 1, 3))
        with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
            sim.compile(keras.optimizers.Adam(0.01), loss="mse")
            scaled = isinstance(sim.keras_model.optimizer, keras.optimizers.LossScaleOptimizer)
            assert scaled == (policy == "mixed_float16")
            y = x[..., :2] + 1
            history = sim.fit(x, y, epochs=20).history["loss"]
            assert history[-1] < 0.5 * history[0]
            assert sim.predict(x)[probe].dtype == np.float32
            assert {v.dtype for v in sim.keras_model.trainable_variables} == {"float32"}
    finally:
        keras.config.set_dtype_policy("float32")
