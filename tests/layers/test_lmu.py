"""`LMU`: the published equations in NumPy, the connections that it may have, files, dropout."""

import keras
import numpy as np
import pytest

from layers.reference import values
from nengo_dl import layers

signal = pytest.importorskip("scipy.signal")

STEPS, SIZE = 9, 2
X = np.random.RandomState(0).uniform(-1, 1, (3, STEPS, SIZE)).astype("float32")
cells = keras.layers

MAKERS = {
    "paper": lambda **kw: layers.LMU(5, 4, 0.01, **kw),
    "feed-forward": lambda **kw: layers.LMU(2, 4, 6, cells.SimpleRNNCell(5), **kw),
    "all connections": lambda **kw: layers.LMU(
        memory_d=3,
        order=4,
        theta=6,
        hidden_cell=cells.LSTMCell(5, dropout=0.2, recurrent_dropout=0.1),
        hidden_to_memory=True,
        memory_to_memory=True,
        input_to_hidden=True,
        use_bias=True,
        dropout=0.3,
        recurrent_dropout=0.2,
        trainable_theta=True,
        **kw,
    ),
    "a layer": lambda **kw: layers.LMUFeedforward(
        2, 4, 6, cells.Dense(5, "relu"), input_to_hidden=True, **kw
    ),
    "a layer that writes": lambda **kw: layers.LMU(
        2, 4, 6, cells.Dense(5, "tanh"), hidden_to_memory=True, discretizer="euler", **kw
    ),
    "the memory alone": lambda **kw: layers.LMUFeedforward(
        2, 4, 6, None, input_to_hidden=True, kernel_initializer=None, **kw
    ),
    "raw": lambda **kw: layers.LMUFeedforward(2, 4, 6, cells.GRUCell(3), conv_mode="raw", **kw),
}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def discrete(order, theta, discretizer):
    """A and B of the paper's equations 1 and 2, in steps of 1."""
    i, j = np.meshgrid(np.arange(order), np.arange(order), indexing="ij")
    a = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1)) / theta
    b = ((2 * np.arange(order) + 1) * (-1.0) ** np.arange(order))[:, None] / theta
    if discretizer == "euler":
        return np.eye(order) + a, b
    zeros = np.zeros((1, order)), np.zeros((1, 1))
    return signal.cont2discrete((a, b, *zeros), 1.0, method="zoh")[:2]


def reference(x, order, theta, discretizer, weights, feedback):
    """Equations 5 to 7 with a hidden state ``tanh(W [m, x] + R h + c)``, step by step."""
    (kernel, recurrent, bias), (w, r, c) = weights
    a, b = discrete(order, theta, discretizer)
    memory_d = kernel.shape[1]
    m, h = np.zeros((len(x), memory_d, order)), np.zeros((len(x), len(r)))
    outputs = []
    for row in np.swapaxes(x, 0, 1):
        u = (np.hstack([row, h]) if feedback else row) @ kernel + bias
        if feedback:
            u = u + m.reshape(len(x), -1) @ recurrent
        m = m @ a.T + u[:, :, None] * b[:, 0]
        h = np.tanh(np.hstack([m.reshape(len(x), -1), row]) @ w + h @ r + c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.core
@pytest.mark.parametrize("discretizer", ["zoh", "euler"])
@pytest.mark.parametrize("feedback", [True, False])
def test_published_equations(feedback, discretizer):
    theta = 6.5 if discretizer == "zoh" else 40.0
    layer = layers.LMU(
        memory_d=3,
        order=4,
        theta=theta,
        hidden_cell=cells.SimpleRNNCell(5),
        hidden_to_memory=feedback,
        memory_to_memory=feedback,
        input_to_hidden=True,
        discretizer=discretizer,
        use_bias=True,
        return_sequences=True,
    )
    layer.build(X.shape)
    shapes = [np.shape(w) for w in layer.get_weights()]
    rng = np.random.RandomState(1)
    weights = [rng.normal(0, 0.3, shape) for shape in shapes]
    layer.set_weights(weights)
    own, hidden = weights[:-3], weights[-3:]
    kernel, recurrent, bias = own if feedback else (own[0], None, own[1])
    expected = reference(X, 4, theta, discretizer, ((kernel, recurrent, bias), hidden), feedback)
    assert layer.dt == 1.0
    np.testing.assert_allclose(values(layer(X)), expected, atol=1e-5)


def test_published_defaults():
    layer = layers.LMU(memory_d=1, order=4, theta=6, hidden_cell=cells.SimpleRNNCell(5))
    config = layer.get_config()
    expected = {
        **{"hidden_to_memory": False, "memory_to_memory": False, "input_to_hidden": False},
        **{"discretizer": "zoh", "use_bias": False, "dropout": 0, "recurrent_dropout": 0},
        **{"trainable_attributes": (), "return_sequences": False, "dt": 1.0},
    }
    assert {name: config[name] for name in expected} == expected
    kinds = [config[f"{name}_initializer"]["class_name"] for name in ("kernel", "recurrent")]
    assert kinds == ["GlorotUniform", "Orthogonal"]


def test_seconds_and_steps():
    """The same window: 50 steps of a millisecond."""
    made = [
        layers.LMU(1, 4, theta, hidden_cell=None, kernel_initializer="ones", **kwargs)
        for theta, kwargs in [(50, {}), (0.05, {"dt": 0.001})]
    ]
    first, second = (values(layer(X)) for layer in made)
    assert np.abs(first).max() > 0.01
    np.testing.assert_allclose(first, second, atol=1e-6)
    # the unit of the paper, whose first argument is the size of its hidden state, is in seconds
    assert layers.LMU(5, 4, 0.05).dt == 0.001


@pytest.mark.core
@every_kind
def test_at_once_and_from_files(make, tmp_path):
    wanted = make(return_sequences=True, return_state=True, parallel=False)
    expected = wanted(X)
    layer = make(return_sequences=True, return_state=True)
    layer.build(X.shape)
    layer.set_weights(wanted.get_weights())
    for given, value in zip(layer(X), expected, strict=True):
        np.testing.assert_allclose(values(given), values(value), atol=1e-5)
    model = keras.Sequential([keras.Input((STEPS, SIZE)), make(), keras.layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, X[:, 0, :1], verbose=0)  # with dropout, where there is some
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(X), model.predict_on_batch(X))


def test_dropout_is_the_same_in_all_steps():
    """In each sequence, what is left out at first is left out to the end."""
    layer = layers.LMU(
        8, 1, 1e-3, hidden_cell=None, dropout=0.5, return_sequences=True, kernel_initializer=None
    )
    x = np.ones((4, 6, 8), dtype="float32")
    output = values(layer(x, training=True))  # what was written in the same step
    assert set(np.round(np.unique(np.abs(output)), 4)) == {0, 2}
    np.testing.assert_allclose(output, output[:, :1].repeat(6, axis=1))
    np.testing.assert_allclose(np.abs(values(layer(x))), 1, atol=1e-4)


def test_the_end_of_the_response_is_left_out():
    x = np.random.RandomState(0).uniform(-1, 1, (2, 60, 2)).astype("float32")

    def output(**kwargs):
        layer = layers.LMUFeedforward(
            2, 4, 3, None, kernel_initializer=None, return_sequences=True, **kwargs
        )
        return values(layer(x)), layer.cell.memory.get_config()["truncate_ir"]

    whole, _ = output()
    same, _ = output(conv_mode="raw")
    shorter, share = output(conv_mode="raw", truncate_ir=1e-2)
    np.testing.assert_allclose(same, whole, atol=1e-5)
    response = np.abs(values(layers.LegendreMemory(4, 3, dt=1, return_sequences=True)(_impulse())))
    largest = response.sum(axis=1).max()
    assert share == 1e-2 and 1e-4 < np.abs(shorter - whole).max() <= share * largest


def _impulse():
    return np.eye(60, dtype="float32")[None, :, :1]


def test_clear_errors():
    with pytest.raises(TypeError, match="memory_d was given without hidden_cell; give hidden_cell"):
        layers.LMU(memory_d=1, order=4, theta=6)
    with pytest.raises(TypeError, match="needs order, theta and either units"):
        layers.LMU(memory_d=1, order=4, hidden_cell=None)
    with pytest.raises(ValueError, match="hidden_to_memory=True needs a hidden_cell"):
        layers.LMU(1, 4, 6, hidden_cell=None, hidden_to_memory=True)
    with pytest.raises(ValueError, match="discretizer was given 'tustin'; expected one of zoh"):
        layers.LMU(1, 4, 6, hidden_cell=None, discretizer="tustin")
    with pytest.raises(ValueError, match="requires memory_d=2; got 1"):
        layers.LMU(1, 4, 6, hidden_cell=None, kernel_initializer=None)(X)
    with pytest.raises(ValueError, match="truncate_ir was given 0.1; it needs conv_mode='raw'"):
        layers.LMUFeedforward(1, 4, 6, None, truncate_ir=0.1)
    with pytest.raises(ValueError, match="memory_to_memory=True is not feed-forward; use LMU"):
        layers.LMUFeedforward(1, 4, 6, None, memory_to_memory=True)
    with pytest.raises(ValueError, match="dt was given .*give a number, and set it with layer.dt"):
        layers.LegendreMemory(4, 6, dt=keras.Variable(1.0))
