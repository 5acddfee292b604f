"""An activation is one, however a program spells it."""

import functools
import importlib
import sys

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl import Converter
from nengo_dl.converter import spellings
from nengo_dl.converter.spellings import LINEAR, Activation, identify

L = keras.layers
PLACES = ["keras.activations", "keras.ops"] + {
    "tensorflow": ["tensorflow.nn", "tensorflow"],
    "jax": ["jax.nn", "jax.numpy"],
}[keras.backend.backend()]


def functions(place):
    """Name in ``keras.activations`` and function, of all that a module has."""
    package, _, inner = place.partition(".")
    module = importlib.import_module(package)
    module = getattr(module, inner) if inner else module
    for name, own in {**spellings._NAMES, **spellings._MODULES[place]}.items():
        if hasattr(module, name):
            yield own, getattr(module, name)


def neurons(activation, **kwargs):
    """Neuron types of a converted layer."""
    x = keras.Input((4,))
    is_layer = isinstance(activation, L.Layer)
    y = activation(x) if is_layer else L.Dense(3, activation=activation)(x)
    converter = Converter(keras.Model(x, y), **kwargs)
    return [ens.neuron_type for ens in converter.net.all_ensembles]


@pytest.mark.core
@pytest.mark.parametrize("place", PLACES)
def test_every_spelling_computes_what_it_is_taken_for(place):
    x = keras.ops.convert_to_tensor(np.linspace(-9, 9, 24, dtype=np.float32).reshape(4, 6))
    found = dict(functions(place))
    assert {"relu", "relu6", "leaky_relu", "sigmoid", "tanh"} <= set(found) or place in PLACES[3:]
    for name, function in found.items():
        activation = identify(function)
        assert isinstance(activation, Activation) and activation.name == name
        expected = keras.ops.convert_to_numpy(function(x))
        actual = keras.ops.convert_to_numpy(activation(x))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.core
@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
def test_layers_keys_and_values_in_every_spelling(name):
    right = neurons(name, allow_fallback=False)
    alike = [f for place in PLACES for own, f in functions(place) if identify(f) == identify(name)]
    assert len(alike) >= 2
    for function in alike:
        x = keras.Input((4,))
        y = L.Activation(name)(L.Activation(function)(L.Dense(3, activation=function)(x)))
        model = keras.Model(x, L.Activation("softplus")(y))
        converter = Converter(model, False, swap_activations={"softplus": function})
        assert [ens.neuron_type for ens in converter.net.ensembles] == right * 4
        swaps = {function: nengo.LIF(), "softplus": "linear"}
        converter = Converter(model, False, swap_activations=swaps)
        assert [ens.neuron_type for ens in converter.net.ensembles] == [nengo.LIF()] * 3


@pytest.mark.core
def test_functions_in_a_functional_model():
    x = keras.Input((4,))
    y = keras.ops.relu(L.Dense(5, name="a")(x))
    y = keras.ops.leaky_relu(L.Dense(5, name="b")(y), negative_slope=0.1)
    y = keras.activations.relu(L.Dense(5, name="c")(y), max_value=0.5)
    z = keras.ops.tanh(y)
    model = keras.Model(x, [y, z])
    converter = Converter(model, allow_fallback=False)
    types = [nengo.RectifiedLinear, nengo_dl.LeakyReLU, nengo_dl.ClippedReLU, nengo.Tanh]
    assert [type(ens.neuron_type) for ens in converter.net.ensembles] == types
    assert converter.layers[z].ensemble.neuron_type == nengo.Tanh(tau_ref=1)
    assert converter.verify()
    swapped = Converter(model, swap_activations={"relu": nengo.LIF(), "tanh": "linear"})
    assert [type(e.neuron_type) for e in swapped.net.ensembles] == [nengo.LIF, *types[1:3]]


def test_functions_of_one_step_in_temporal_models():
    x = keras.Input((None, 4))
    model = keras.Model(x, keras.ops.softplus(keras.ops.relu(x)))
    with pytest.warns(UserWarning, match="softplus"):
        converter = Converter(model, temporal_model=True)
    assert converter.verify()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (L.ReLU(), "relu"),
        (L.ReLU(max_value=6), keras.ops.relu6),
        (L.ReLU(negative_slope=0.2), "leaky_relu"),
        (L.LeakyReLU(negative_slope=0.0), "relu"),
        (L.LeakyReLU(), functools.partial(keras.ops.leaky_relu, negative_slope=0.3)),
        (L.ELU(), "elu"),
        (L.ELU(alpha=0.5), functools.partial(keras.activations.elu, alpha=np.float32(0.5))),
        (L.Softmax(), keras.ops.softmax),
        (L.Lambda(keras.ops.relu), "relu"),
        (L.Lambda(keras.ops.elu, arguments={"alpha": 0.5}), L.ELU(alpha=0.5)),
        (L.Activation(L.LeakyReLU(negative_slope=0.2)), "leaky_relu"),
        (keras.ops.gelu, "gelu"),
        (keras.ops.exp, "exponential"),
        ("swish", "silu"),
        (None, "linear"),
    ],
)
def test_spellings_of_one(one, other):
    assert identify(one) == identify(other)
    assert isinstance(identify(one), Activation)


def test_what_are_others():
    different = ["relu", L.ReLU(max_value=5), L.ReLU(threshold=1), "leaky_relu", L.LeakyReLU()]
    assert len({identify(activation) for activation in different}) == len(different)
    for unknown in (abs, L.PReLU(), functools.partial(keras.ops.relu, slope=1), np.tanh):
        assert identify(unknown) is unknown


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_libraries_are_not_imported(name, monkeypatch):
    monkeypatch.delitem(sys.modules, name, raising=False)
    assert identify(None) == LINEAR
    assert identify(abs) is abs
    assert name not in sys.modules


@pytest.mark.core
def test_functions_of_the_other_library():
    """Keras's function takes their place, so that only the model itself has to run them."""
    nn = {"tensorflow": "jax.nn", "jax": "tensorflow.nn"}[keras.backend.backend()]
    package, _, inner = nn.partition(".")
    nn = getattr(pytest.importorskip(package), inner)
    assert neurons("relu", swap_activations={nn.relu: nengo.LIF()}) == [nengo.LIF()]
    with pytest.warns(UserWarning, match="'softplus' has no neuron type"):
        converter = Converter(
            keras.Sequential([keras.Input((3,)), L.Activation("tanh"), L.Activation(nn.elu)]),
            swap_activations={"tanh": nn.softplus},
        )
    (node,), (probe,) = converter.inputs.values(), converter.outputs.values()
    x = np.array([-1.0, 0.5, 2.0])
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        sim.run_steps(1, data={node: x[None, None]})
        np.testing.assert_allclose(sim.data[probe][0], np.log1p(np.exp(x)), rtol=1e-5)


# -- swap_activations ------------------------------------------------------------------------------


def test_a_swap_of_nothing_lists_what_there_is():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(3, activation=keras.ops.relu),
            L.LeakyReLU(),
            L.Dense(3, activation=LAST),
        ]
    )
    listed = r"tanh; the model's are relu, functools.partial\(keras.activations.leaky_relu, negat"
    with pytest.raises(ValidationError, match=listed) as error:
        Converter(model, swap_activations={"tanh": nengo.LIF(), "relu": nengo.LIF()})
    # each that is listed is a key, as it is written
    for key in ("relu", functools.partial(keras.activations.leaky_relu, negative_slope=0.3)):
        assert str(identify(key)) in str(error.value)
        converter = Converter(model, swap_activations={key: nengo.LIF(), LAST: nengo.LIF()})
        assert sum(e.neuron_type == nengo.LIF() for e in converter.net.ensembles) == 2
    assert "LAST" in str(error.value)


def LAST(x):
    """An activation that Keras does not have."""
    return keras.ops.square(x)


def test_activations_in_tensor_nodes_stay():
    model = keras.Sequential([keras.Input((3, 4)), L.SimpleRNN(2, name="rnn")])
    with pytest.raises(ValidationError, match=r"the model's are none; .*TensorNodes stay \(rnn\)"):
        Converter(model, swap_activations={"tanh": nengo.LIF()})


def test_swaps_by_neuron_type_class_and_layer():
    for key in (nengo.RectifiedLinear(), nengo.RectifiedLinear, L.ReLU(), L.ReLU):
        assert neurons("relu", swap_activations={key: nengo.LIF}) == [nengo.LIF()]
    assert neurons(L.Softmax(), swap_activations={"softmax": L.ReLU}) == [nengo.RectifiedLinear()]
    assert neurons("relu", swap_activations={"relu": None}) == []
    assert neurons(None, swap_activations={"linear": nengo.LIF()}) == [nengo.LIF()]
    with pytest.warns(UserWarning, match="'softplus' has no neuron type"):
        assert neurons(L.Softmax(), swap_activations={"softmax": "softplus"}) == []


def test_one_activation_has_one_replacement():
    same = {"relu": nengo.LIF(), keras.ops.relu: nengo.LIF()}
    assert neurons("relu", swap_activations=same) == [nengo.LIF()]
    with pytest.raises(ValidationError, match="relu has two replacements, LIF"):
        neurons("relu", swap_activations={**same, keras.ops.relu: nengo.LIFRate()})


@pytest.mark.core
@pytest.mark.parametrize("key", ["relu", PLACES[2] + ".relu", PLACES[2] + ".tanh"])
def test_parameters_fit_the_same_model_with_spikes(key, tmp_path):
    place, _, name = key.rpartition(".")
    function = dict(functions(place))[name] if place else name
    model = keras.Sequential(
        [keras.Input((4,)), L.Dense(5, activation=name), L.Dense(5, activation=function)]
    )
    rate = Converter(model)
    spiking = Converter(
        model, swap_activations={function: nengo.SpikingRectifiedLinear()}, scale_firing_rates=50
    )
    assert all(ens.neuron_type.spiking for ens in spiking.net.ensembles)
    for source, target in ((rate, spiking), (spiking, rate)):
        weights = {}
        for converter in (source, target):
            with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
                if converter is source:
                    values = [w + 0.1 for w in sim.keras_model.get_weights()]
                    sim.keras_model.set_weights(values)
                    sim.save_params(tmp_path / "params")
                else:
                    sim.load_params(tmp_path / "params")
                kernels = [c for c in converter.net.connections if "kernel" in str(c)]
                weights[converter] = [sim.data[c].weights for c in kernels]
        for a, b in zip(weights[source], weights[target], strict=True):
            np.testing.assert_array_equal(a, b)


# -- layers in TensorNodes -------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda cell: cell, L.TimeDistributed])
def test_copies_of_layers_have_their_functions(wrap):
    """A configuration has only a name, if that."""
    cell = L.SimpleRNNCell(2, activation=keras.ops.gelu)
    layer = wrap(L.RNN([cell, L.SimpleRNNCell(2, activation=LAST)]))
    shape = (3, 4) if isinstance(layer, L.RNN) else (2, 3, 4)
    with pytest.warns(UserWarning, match="TensorNode"):
        converter = Converter(keras.Sequential([keras.Input(shape), layer]))
    copies, originals = converter.copies[layer]._flatten_layers(), layer._flatten_layers()
    pairs = [p for p in zip(copies, originals, strict=True) if isinstance(p[0], L.SimpleRNNCell)]
    assert {original.activation for _, original in pairs} == {keras.ops.gelu, LAST}
    x = keras.ops.convert_to_tensor([[-1.0, 0.5, 2.0]])
    for copy, original in pairs:
        assert copy is not original
        np.testing.assert_array_equal(copy.activation(x), original.activation(x))
        np.testing.assert_array_equal(copy.kernel, original.kernel)
