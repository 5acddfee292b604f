"""What holds for every layer: saving, masks, states, wrappers, precision, shapes."""

import keras
import numpy as np
import pytest

from layers.reference import values
from nengo_dl import layers
from nengo_dl.runtime import backends

STEPS, UNITS = 12, 3


def rate(x):
    return 200 * keras.ops.relu(x)


keras.saving.register_keras_serializable(package="test")(rate)

MAKERS = {
    "spiking": lambda **kw: layers.SpikingActivation(rate, **kw),
    "lif": lambda **kw: layers.LIF(amplitude=0.01, threshold=0.2, **kw),
    "adaptive": lambda **kw: layers.AdaptiveLIF(
        threshold=0.1, tau_n=0.1, trainable_attributes=["tau_rc", "inc_n"], **kw
    ),
    "recurrent": lambda **kw: layers.RecurrentLIF(threshold=0.1, use_bias=True, **kw),
    "recurrent adaptive": lambda **kw: layers.RecurrentAdaptiveLIF(
        threshold=0.1, amplitude=0.01, inc_n=1.0, trainable_attributes="tau_n", **kw
    ),
    "lowpass": lambda **kw: layers.Lowpass([0.002, 0.01, 0.05], initial_level=0.5, **kw),
    "alpha": lambda **kw: layers.Alpha(0.004, initial_level=[0.1, 0.2, 0.3], **kw),
    "memory": lambda **kw: layers.LegendreMemory(4, 0.01, **{"return_sequences": True, **kw}),
    "window": lambda **kw: layers.LegendreMemory(
        3, 0.02, trainable_attributes="theta", **{"return_sequences": True, **kw}
    ),
    "lmu": lambda **kw: layers.LMU(5, 4, 0.01, **{"return_sequences": True, **kw}),
}
CELLS = [
    lambda: layers.SpikingActivationCell(rate, UNITS),
    lambda: layers.LIFCell(UNITS),
    lambda: layers.AdaptiveLIFCell(UNITS),
    lambda: layers.RecurrentLIFCell(UNITS),
    lambda: layers.RecurrentAdaptiveLIFCell(UNITS),
    lambda: layers.LowpassCell(0.01, UNITS),
    lambda: layers.AlphaCell(0.01, UNITS),
]
every_layer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
#: those that differ in how they are stepped, not in their arithmetic alone
KINDS = ("spiking", "lif", "recurrent", "alpha", "memory", "lmu")
every_kind = pytest.mark.parametrize("make", [MAKERS[name] for name in KINDS], ids=KINDS)


def sequences(batch=2, steps=STEPS, seed=0):
    return np.random.RandomState(seed).uniform(-1, 2, (batch, steps, UNITS)).astype("float32")


def assert_close(given, wanted, atol=1e-5):
    given, wanted = values(given), values(wanted)
    scale = max(1, np.abs(wanted).max())
    np.testing.assert_allclose(given, wanted, atol=atol * scale, rtol=0)


@pytest.mark.core
@every_layer
def test_save_and_load(make, tmp_path):
    """A model from a file predicts the same, also after training."""
    x = sequences(4)
    model = keras.Sequential([keras.Input((STEPS, UNITS)), make(), keras.layers.Dense(2)])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    model.fit(x, np.zeros((4, STEPS, 2)), epochs=2, verbose=0)
    expected = model.predict(x, verbose=0)
    assert np.ptp(expected) > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


@pytest.mark.core
@every_layer
def test_step_by_step_and_at_once(make):
    """Each of the ways to compute a layer gives the same outputs and the same last state."""
    x = sequences()
    wanted = make(parallel=False, return_state=True, name="loop")
    expected = wanted(x)
    for kwargs in ({}, {"unroll": True}):
        layer = make(return_state=True, name="layer", **kwargs)
        layer.build(x.shape)
        layer.set_weights(wanted.get_weights())
        for given, value in zip(layer(x), expected, strict=True):
            assert_close(given, value)
    for parallel in (True, False):
        last = make(return_sequences=False, parallel=parallel)
        last.build(x.shape)
        last.set_weights(wanted.get_weights())
        assert_close(last(x), expected[0][:, -1])


@every_kind
def test_states_are_passed_on(make):
    """Half a sequence and then the rest is as all of it: by hand, and for a stateful layer."""
    x = sequences()
    whole = make(parallel=False)
    expected = whole(x)
    for parallel in (True, False):
        layer = make(return_state=True, parallel=parallel)
        layer.build(x.shape)
        layer.set_weights(whole.get_weights())
        first, *state = layer(x[:, :5])
        second, *_ = layer(x[:, 5:], initial_state=state)
        assert_close(np.concatenate([values(first), values(second)], axis=1), expected)
    keeping = make(stateful=True)
    keeping.build(x.shape)
    keeping.set_weights(whole.get_weights()) if not keeping.states else None
    for variable, value in zip(keeping.cell.weights, whole.cell.weights, strict=True):
        variable.assign(value)
    keeping.reset_state()
    for _ in range(2):
        first, second = values(keeping(x[:, :5])), values(keeping(x[:, 5:]))
        assert_close(np.concatenate([first, second], axis=1), expected)
        keeping.reset_state()


@every_kind
def test_masks(make):
    """Masked steps change nothing; the output stays, or is zero."""
    x, mask = sequences(), np.ones((2, STEPS), dtype=bool)
    mask[:, 4] = mask[:, 7] = False
    wanted = make()
    expected = values(wanted(x[:, mask[0]]))
    layer = make(zero_output_for_mask=True)
    layer.build(x.shape)
    layer.set_weights(wanted.get_weights())
    given = values(layer(x, mask=keras.ops.convert_to_tensor(mask)))
    assert_close(given[:, mask[0]], expected)
    assert not given[:, 4].any() and not given[:, 7].any()
    padded = np.where(mask[..., None], x, -5.0)
    model = keras.Sequential([keras.Input((STEPS, UNITS)), keras.layers.Masking(-5.0), layer])
    assert_close(model(padded), given)


@every_kind
def test_wrappers(make):
    x = sequences()
    both = keras.layers.Bidirectional(make(), merge_mode="concat")
    size = values(make()(x)).shape[-1]
    assert both(x).shape == (2, STEPS, 2 * size)
    forward, backward = both.forward_layer, both.backward_layer
    assert backward.go_backwards
    assert_close(both(x)[..., :size], forward(x))
    one_way = make()
    one_way.build(x.shape)
    one_way.set_weights(backward.get_weights())
    assert_close(both(x)[..., size:], values(one_way(x[:, ::-1]))[:, ::-1])
    layer = make()
    wrapped = keras.layers.TimeDistributed(layer)
    stack = np.stack([sequences(seed=k) for k in range(3)], axis=1)
    assert_close(wrapped(stack)[:, 1], layer(stack[:, 1]))


@pytest.mark.parametrize("make", CELLS)
def test_cells_in_keras_rnn(make):
    x = sequences()
    rnn = keras.layers.RNN(make(), return_sequences=True, return_state=True)
    inputs = keras.Input((STEPS, UNITS))
    outputs = rnn(inputs)
    assert len(outputs) == 1 + len(rnn.cell.state_names)
    assert values(keras.Model(inputs, outputs[0])(x)).shape == (2, STEPS, UNITS)


def test_stacked_cells():
    x = 3 * np.abs(sequences())
    neurons, synapse = layers.LIF(), layers.Lowpass(0.01)
    stacked = keras.layers.RNN(
        [layers.LIFCell(UNITS), layers.LowpassCell(0.01, UNITS)], return_sequences=True
    )
    assert values(stacked(x)).any()
    assert_close(stacked(x), synapse(neurons(x)))
    memory = keras.layers.RNN([layers.LegendreMemoryCell(4, 0.01), keras.layers.LSTMCell(3)])
    assert memory(x).shape == (2, 3)


@every_kind
def test_mixed_precision(make):
    """Outputs have the lower precision, states the higher one."""
    x = sequences()
    layer = make(dtype="mixed_float16", return_state=True)
    output, *states = layer(x)
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    assert all(keras.backend.standardize_dtype(s.dtype) == "float32" for s in states)
    precise = make()
    precise.build(x.shape)
    precise.set_weights(layer.get_weights())
    assert_close(np.float32(values(output)), precise(np.float32(np.float16(x))), atol=2e-3)


@pytest.mark.parametrize("name", ["spiking", "lif", "lowpass", "memory"])
def test_more_axes(name):
    """Units can be more than one axis, e.g. images with channels."""
    make = MAKERS[name]
    if name == "lowpass":
        make = lambda **kw: layers.Lowpass(0.01, **kw)  # noqa: E731
    x = np.random.RandomState(0).uniform(0, 2, (2, STEPS, 4, 2, 3)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    flat = make()
    expected = values(flat(x.reshape(2, STEPS, 24)))
    outputs = make()(inputs)
    given = values(keras.Model(inputs, outputs)(x))
    assert given.shape == (2, *outputs.shape[1:])
    assert_close(given.reshape(expected.shape), expected)


def test_unknown_number_of_steps():
    inputs = keras.Input((None, UNITS))
    model = keras.Model(inputs, [layers.Lowpass(0.01)(inputs), layers.LIF()(inputs)])
    for steps in (3, 7):
        assert values(model(sequences(steps=steps))[0]).shape == (2, steps, UNITS)


def test_time_step_can_change(tmp_path):
    x = sequences()
    layer = layers.Lowpass(0.05, dt=0.001)
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    before = model.predict(x, verbose=0)
    layer.dt = 0.01
    assert layer.dt == layer.get_config()["dt"] == 0.01
    after = model.predict(x, verbose=0)
    assert_close(after, layers.Lowpass(0.05, dt=0.01)(x))
    assert np.abs(after - before).max() > 0.1


def test_clear_errors():
    with pytest.raises(ValueError, match="tau was given -1; expected a positive number"):
        layers.Lowpass(-1)
    with pytest.raises(ValueError, match="tau was given 2 values for 3 units"):
        layers.Lowpass([0.1, 0.2])(sequences())
    with pytest.raises(ValueError, match="'tau_x'; expected some of threshold, tau_rc"):
        layers.LIF(trainable_attributes="tau_x")
    with pytest.raises(ValueError, match="dt was given 0"):
        layers.SpikingActivation("relu", dt=0)
    with pytest.raises(ValueError, match=r"expected sequences of shape \(batch, steps, units"):
        layers.LIF()(np.zeros((2, 3), dtype="float32"))
    with pytest.raises(ValueError, match="order was given 0"):
        layers.LegendreMemory(0, 1.0)


def test_layers_have_no_units():
    """The number of units is not taken for a time step."""
    for make in (layers.LIF, layers.AdaptiveLIF, layers.RecurrentLIF, layers.SpikingActivation):
        for given in (100, np.int64(64)):
            with pytest.raises(
                TypeError, match=r"(Activation|LIF) has no units to choose, .*Dense\(\d+\) in front"
            ):
                make(given)
    for make in (layers.LIF, layers.AdaptiveLIF, layers.Lowpass, layers.LegendreMemory):
        arguments = (4, 1.0) if make is layers.LegendreMemory else ()
        with pytest.raises(TypeError, match="has no units to choose, but was given 7"):
            make(*arguments, units=7)
        assert make(*arguments, dt=1).dt == 1.0


def test_size_first():
    assert layers.SpikingActivationCell(3, "relu").units == 3
    assert layers.LowpassCell(size=(2, 3), tau_initializer=0.01).units == 6
    with pytest.raises(ValueError, match="units was given 0.01; expected a positive integer"):
        layers.LowpassCell(3, 0.01)


def test_default_time_step(monkeypatch):
    monkeypatch.setattr(layers.default, "dt", 0.02)
    made = [
        layers.Lowpass(0.1),
        layers.LIF(),
        layers.LMU(2, 3, 0.1),
        layers.SpikingActivation(rate),
    ]
    assert [layer.dt for layer in made] == [0.02] * 4
    assert layers.Lowpass(0.1, dt=0.001).dt == 0.001
    with pytest.raises(ValueError, match="dt was given -1"):
        layers.default.dt = -1


@pytest.mark.core
def test_time_step_in_a_variable(tmp_path):
    """Several layers read it in each call, and training leaves it alone."""
    x, dt = sequences(4), keras.Variable(0.001)
    filters = [layers.Lowpass(0.05, dt=dt), layers.Alpha(0.05, dt=dt)]
    model = keras.Sequential([keras.Input((STEPS, UNITS)), *filters])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    model.fit(x, x, verbose=0)
    before = model.predict(x, verbose=0)
    dt.assign(0.01)
    after = model.predict(x, verbose=0)
    assert [layer.dt for layer in filters] == [pytest.approx(0.01)] * 2
    assert len(model.trainable_weights) == 4 and np.abs(after - before).max() > 0.1
    assert_close(after, layers.Alpha(0.05, dt=0.01)(layers.Lowpass(0.05, dt=0.01)(x)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), after)
    filters[0].dt = 0.001
    assert filters[1].dt == pytest.approx(0.001)


@every_kind
def test_time_major(make):
    x = sequences()
    wanted = make()
    expected = values(wanted(x))
    for sequence in (True, False):
        layer = make(time_major=True, return_sequences=sequence)
        inputs = keras.Input(batch_shape=(STEPS, 2, UNITS))
        outputs = layer(inputs)
        layer.set_weights(wanted.get_weights())
        given = values(keras.Model(inputs, outputs)(x.swapaxes(0, 1)))
        assert given.shape == outputs.shape
        assert_close(given, expected.swapaxes(0, 1) if sequence else expected[:, -1])
        assert type(layer).from_config(layer.get_config()).time_major


def test_states_are_set():
    x = sequences()
    whole = layers.Alpha(0.05, return_state=True, parallel=False)
    _, *state = whole(x[:, :5])
    layer = layers.Alpha(0.05, stateful=True, parallel=False)
    layer.build(x.shape)
    layer.reset_states([values(s) for s in state])
    assert_close(layer(x[:, 5:]), values(whole(x)[0])[:, 5:])
    layer.reset_states()
    assert_close(layer(x), whole(x)[0])
    with pytest.raises(ValueError, match="was given 1 states; expected 2"):
        layer.reset_states(np.zeros(UNITS))
    with pytest.raises(ValueError, match=r"a state of shape \(7,\); expected \(2, 3\)"):
        layer.reset_states([np.zeros(7), np.zeros(UNITS)])
    with pytest.raises(ValueError, match="make it with stateful=True and call it"):
        layers.LIF().reset_states([np.zeros(3), np.zeros(3)])


@pytest.mark.core
@pytest.mark.parametrize("make", [layers.Lowpass, layers.RecurrentLIF])
def test_truncated_gradients(make):
    """Outputs are the same, and gradients go back to the last multiple of ``truncate`` steps."""
    arguments = (0.05,) if make is layers.Lowpass else ()
    whole = make(*arguments, return_sequences=False)
    layer = make(*arguments, return_sequences=False, truncate=5)
    x = 20 * np.abs(sequences()) + 1
    for each in (whole, layer):
        each.build(x.shape)
    layer.set_weights(whole.get_weights())
    assert_close(layer(x), whole(x))
    lengths = []
    for each in (whole, layer):
        (gradient,) = backends.active().gradients(
            lambda tensors, each=each: keras.ops.sum(each(*tensors, training=True)),
            [keras.ops.convert_to_tensor(x)],
        )
        steps = np.any(values(gradient), axis=(0, 2))
        assert np.all(steps[STEPS - steps.sum() :])
        lengths.append(steps.sum())
    assert lengths == [STEPS, STEPS % 5]
    assert layer.from_config(layer.get_config()).truncate == 5
    with pytest.raises(ValueError, match="truncate was given 0; expected a number of steps"):
        make(*arguments, truncate=0)


@keras.saving.register_keras_serializable(package="test")
class LeakyCell(layers.Cell):
    """As in the documentation of `Cell`."""

    state_names = ("level",)

    def __init__(self, leak=1.0, units=None, **kwargs):
        attributes = (layers.UnitAttribute("leak", leak),)
        kwargs = {"trainable_attributes": "leak", **kwargs}
        super().__init__(units, attributes=attributes, **kwargs)

    def step(self, inputs, states, training):
        level = states[0] + self.dt_tensor() * (inputs - self.value("leak") * states[0])
        return level, [level]


@pytest.mark.core
def test_cells_of_ones_own(tmp_path):
    x = sequences(4)
    layer = layers.SequenceLayer(LeakyCell(2.0, dt=0.1))
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    level, expected = np.zeros((4, UNITS)), []
    for row in x.swapaxes(0, 1):
        level = level + 0.1 * (row - 2 * level)
        expected.append(level)
    assert_close(model(x), np.stack(expected, axis=1))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
    model.fit(x, 0 * x, verbose=0)
    assert np.all(layer.attribute("leak") > 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
