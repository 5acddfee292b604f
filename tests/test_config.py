"""Settings of a network."""

import nengo
import pytest
from nengo.exceptions import ConfigError

from nengo_dl.config import (
    TrainableResolver,
    configure_settings,
    get_keep_history,
    get_setting,
)

GOOD = {
    "planner": print,
    "sorter": print,
    "simplifications": [print],
    "inference_only": True,
    "lif_smoothing": 0.1,
    "dtype": "float64",
    "stateful": False,
    "use_loop": False,
    "learning_phase": True,
    "jit_compile": False,
}


@pytest.mark.parametrize("name", GOOD)
def test_settings(name):
    with nengo.Network() as net:
        assert get_setting(net, name, "nothing") == "nothing"
        configure_settings(**{name: GOOD[name]})
        assert get_setting(net, name) == GOOD[name]
        if name not in ("inference_only", "dtype", "stateful", "use_loop"):
            configure_settings(**{name: None})
            assert get_setting(net, name) is None


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"trainble": True},
            "'trainble' is not a setting of nengo_dl; the settings are .*trainable",
        ),
        ({"dtype": "float16"}, "'dtype' was given 'float16'; expected one of 'float32', 'float64'"),
        ({"trainable": 1}, "expected one of None, True, False"),
        ({"planner": 3}, "a function or None"),
        ({"simplifications": print}, "a list of functions or None"),
        ({"lif_smoothing": -1}, "a positive number or None"),
        ({"keep_history": None}, "expected one of True, False"),
    ],
)
def test_errors(settings, message):
    with nengo.Network(), pytest.raises(ConfigError, match=message):
        configure_settings(**settings)


def test_outside_of_a_network():
    with pytest.raises(ConfigError, match="inside the `with` block of a network"):
        configure_settings(dtype="float64")


def ensembles(net):
    with net:
        return nengo.Ensemble(5, 1), nengo.Ensemble(5, 1)


def test_trainable_of_classes_and_instances():
    with nengo.Network() as net:
        before, _ = ensembles(net)
        configure_settings(trainable=None)
        net.config[nengo.Ensemble].trainable = False
        after, other = ensembles(net)
        net.config[other].trainable = True
        net.config[after.neurons].trainable = True
        first, second = (nengo.Connection(before, after) for _ in range(2))
        net.config[second].trainable = False
    trainable = TrainableResolver(net)
    assert [trainable(ens) for ens in (before, after, other)] == [False, False, True]
    assert [trainable.bias(ens) for ens in (before, after, other)] == [False, True, True]
    assert [trainable(conn) for conn in (first, second)] == [None, False]


def test_inner_networks_win():
    with nengo.Network() as net:
        configure_settings(trainable=False)
        with nengo.Network() as silent:
            inherits, _ = ensembles(silent)
        with nengo.Network() as inner:
            configure_settings(trainable=None)
            inner.config[nengo.Ensemble].trainable = True
            own, _ = ensembles(inner)
            with nengo.Network() as innermost:
                nested, _ = ensembles(innermost)
        net.config[nested].trainable = False
        outer, _ = ensembles(net)
    trainable = TrainableResolver(net)
    assert trainable(outer) is False
    assert trainable(inherits) is False
    assert trainable(own) is True
    # what was set for the object itself is stronger than any class
    assert trainable(nested) is False


def test_history_of_probes():
    with nengo.Network() as net:
        ens, _ = ensembles(net)
        default = nengo.Probe(ens)
        assert get_keep_history(net, default) is True
        configure_settings(keep_history=False)
        exception, later = nengo.Probe(ens), nengo.Probe(ens)
        net.config[exception].keep_history = True
    assert [get_keep_history(net, p) for p in (default, exception, later)] == [False, True, False]


def test_settings_do_not_leak():
    with nengo.Network() as net:
        configure_settings(dtype="float64", trainable=False)
    with nengo.Network() as other:
        assert get_setting(other, "dtype") is None
        ens, _ = ensembles(other)
    assert TrainableResolver(other)(ens) is None
    assert get_setting(net, "dtype") == "float64"
