"""Settings are stored in Nengo's config, and looked up along the nested networks."""

import copy
import inspect
import pickle

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ConfigError

import nengo_dl
from nengo_dl.config import (
    TrainableResolver,
    configure_settings,
    get_keep_history,
    get_setting,
    get_trainable,
)
from nengo_dl.settings import SETTINGS


def planner(operators):
    return operators


def other_planner(operators):
    return operators


def ensemble():
    return nengo.Ensemble(5, 1)


# -- settings of the whole simulation --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "stored"),
    [
        ("planner", planner, planner),
        ("sorter", planner, planner),
        ("simplifications", [planner, other_planner], [planner, other_planner]),
        ("simplifications", (), []),
        ("inference_only", True, True),
        ("lif_smoothing", 0.1, 0.1),
        ("lif_smoothing", 1, 1.0),
        ("dtype", "float64", "float64"),
        ("dtype", np.float32, "float32"),
        ("dtype", np.dtype("float64"), "float64"),
        ("dtype", "mixed_float16", "mixed_float16"),
        ("dtype", keras.DTypePolicy("mixed_bfloat16"), "mixed_bfloat16"),
        ("stateful", False, False),
        ("stateful", np.bool_(False), False),
        ("use_loop", False, False),
        ("learning_phase", True, True),
        ("jit_compile", False, False),
        ("surrogate", "arctan", "arctan"),
        ("checkpoint_segments", True, True),
        ("checkpoint_segments", "auto", "auto"),
        ("checkpoint_segments", np.int64(4), 4),
        ("sequence_kernels", True, True),
        ("threads", np.int64(2), 2),
        ("keep_history", False, False),
        ("trainable", False, False),
    ],
)
def test_a_setting_is_read_back(name, given, stored):
    with nengo.Network() as net:
        configure_settings(**{name: given})
    assert get_setting(net, name, default="default") == stored
    assert get_setting(net.config, name) == stored
    assert type(get_setting(net, name)) is type(stored)


def test_a_setting_that_was_not_made_has_the_default():
    with nengo.Network() as net:
        assert get_setting(net, "dtype", "float32") == "float32"
        assert get_setting(net, "dtype") is None
        configure_settings(stateful=False)
        assert get_setting(net, "dtype", "float32") == "float32"
        configure_settings(lif_smoothing=None, planner=None)
        assert get_setting(net, "lif_smoothing", 7) == 7
        configure_settings(lif_smoothing=0)
        assert get_setting(net, "lif_smoothing", 7) == 7


def test_each_call_changes_only_what_it_names():
    with nengo.Network() as net:
        configure_settings(dtype="float64", stateful=False)
        configure_settings(stateful=True)
    assert get_setting(net, "dtype") == "float64"
    assert get_setting(net, "stateful") is True


def test_a_setting_can_be_made_through_the_config():
    with nengo.Network() as net:
        configure_settings(dtype="float64")
    net.config[nengo.Network].dtype = "float32"
    assert get_setting(net, "dtype") == "float32"
    with net:
        configure_settings(dtype="float64")
    assert get_setting(net, "dtype") == "float64"


def test_a_network_that_configures_networks_keeps_its_own_parameters():
    with nengo.Network() as net:
        net.config.configures(nengo.Network)
        net.config[nengo.Network].set_param("colour", nengo.params.StringParam("colour", "red"))
        configure_settings(dtype="float64")
    assert net.config[nengo.Network].colour == "red"
    assert get_setting(net, "dtype") == "float64"


def test_subclasses_of_network():
    with nengo.networks.EnsembleArray(5, 2) as net:
        configure_settings(dtype="float64")
    assert get_setting(net, "dtype") == "float64"


def test_the_innermost_network_is_configured():
    with nengo.Network() as outer:
        with nengo.Network() as inner:
            configure_settings(keep_history=False)
    assert get_setting(inner, "keep_history") is False
    assert get_setting(outer, "keep_history") is None


def test_a_config_entered_inside_a_network_is_not_mistaken_for_it():
    presets = nengo.Config(nengo.Ensemble)
    with nengo.Network() as net, presets:
        configure_settings(dtype="float64")
    assert get_setting(net, "dtype") == "float64"
    assert get_setting(presets, "dtype") is None


def test_settings_that_an_inner_network_cannot_make_are_warned_of():
    with nengo.Network() as outer:
        with nengo.Network(label="inner") as inner:
            configure_settings(dtype="float64", trainable=False)
        with nengo.Network(label="other"):
            configure_settings(dtype="float32", trainable=False)  # as it is anyway
    with pytest.warns(UserWarning, match="(?s)dtype.*inner.*top-level") as record:
        nengo_dl.Simulator(outer).close()
    assert len(record) == 1 and record[0].filename == __file__
    assert "trainable" not in str(record[0].message)
    nengo_dl.Simulator(inner).close()  # whose settings these are


# -- errors ----------------------------------------------------------------------------------------


def test_an_unknown_setting_is_named_with_those_there_are():
    with nengo.Network() as net:
        with pytest.raises(
            ConfigError, match="(?s)'trainble' is not.*jit_compile.*did you mean 'trainable'"
        ):
            configure_settings(dtype="float64", trainble=False)
    assert get_setting(net, "dtype") is None
    with pytest.raises(ConfigError, match="'nonsense'"):
        get_setting(net, "nonsense")


def test_outside_of_a_network():
    with pytest.raises(ConfigError, match="inside the `with` block"):
        configure_settings(dtype="float64")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("trainable", "yes", "one of None, True, False"),
        ("trainable", 1, "one of None, True, False"),
        (
            "dtype",
            "float16",
            "one of 'float32', 'float64', 'mixed_bfloat16', 'mixed_float16': in half",
        ),
        ("dtype", None, "one of 'float32', 'float64'"),
        ("dtype", [], "one of 'float32', 'float64'"),
        ("keep_history", None, "one of True, False"),
        ("stateful", 0, "one of True, False"),
        ("inference_only", "no", "one of True, False"),
        ("planner", "greedy", "a function or None"),
        ("simplifications", planner, "a list of functions"),
        ("simplifications", ["x"], "a list of functions"),
        ("simplifications", "xy", "a list of functions"),
        ("lif_smoothing", -0.1, "0, a positive number or None"),
        ("lif_smoothing", float("nan"), "0, a positive number or None"),
        ("lif_smoothing", "0.1", "0, a positive number or None"),
        ("jit_compile", "always", "one of None, True, False"),
        ("checkpoint_segments", 0, "True, False, a positive integer, 'auto' or None"),
        ("checkpoint_segments", "many", "True, False, a positive integer, 'auto' or None"),
    ],
)
def test_a_value_that_is_not_allowed(name, value, expected):
    with nengo.Network() as net:
        with pytest.raises(ConfigError) as error:
            configure_settings(learning_phase=True, **{name: value})
    assert f"{name!r} was given {value!r}; expected {expected}" in str(error.value)
    assert get_setting(net, "learning_phase") is None, "the other settings were made all the same"


def test_values_set_through_the_config_are_checked_too():
    with nengo.Network() as net:
        configure_settings(trainable=None)
        ens = ensemble()
    for target in (nengo.Ensemble, ens):
        with pytest.raises(ConfigError, match="'trainable' was given 'yes'"):
            net.config[target].trainable = "yes"


# -- trainable -------------------------------------------------------------------------------------


def test_without_settings_nothing_is_said():
    with nengo.Network() as net:
        a = ensemble()
        conn = nengo.Connection(a, a)
    for obj in (a, a.neurons, conn):
        assert get_trainable(net, obj) is None


@pytest.mark.parametrize("value", [None, True, False])
def test_trainable_governs_objects_made_before_and_after(value):
    with nengo.Network() as net:
        before = ensemble()
        configure_settings(trainable=value)
        after = ensemble()
        conn = nengo.Connection(before, after)
    resolver = TrainableResolver(net)
    for obj in (before, before.neurons, after, after.neurons, conn):
        assert resolver(obj) is value
        assert net.config[obj].trainable is value


def test_objects_win_over_their_class():
    with nengo.Network() as net:
        a, b = ensemble(), ensemble()
        conns = [nengo.Connection(a, b), nengo.Connection(b, a)]
        configure_settings(trainable=True)
    net.config[nengo.Connection].trainable = False
    net.config[conns[0]].trainable = None
    net.config[a].trainable = False
    resolver = TrainableResolver(net)
    assert resolver(conns[0]) is None
    assert resolver(conns[1]) is False
    assert resolver(a) is False
    assert resolver(b) is True
    del net.config[a].trainable
    assert resolver(a) is True


def test_configuring_again_replaces_classes_but_not_objects():
    with nengo.Network() as net:
        a, b = ensemble(), ensemble()
        configure_settings(trainable=None)
        net.config[nengo.Ensemble].trainable = True
        net.config[a].trainable = True
        configure_settings(trainable=False)
    resolver = TrainableResolver(net)
    assert (resolver(a), resolver(b)) == (True, False)


def test_ensembles_reenabled_train_encoders_and_biases():
    with nengo.Network() as net:
        a = ensemble()
        conn = nengo.Connection(a, a)
        configure_settings(trainable=False)
        net.config[nengo.Ensemble].trainable = True
    resolver = TrainableResolver(net)
    assert resolver(a) is True
    assert resolver(a.neurons) is True
    assert resolver.bias(a) is True
    assert resolver(conn) is False


def test_neurons_can_differ_from_their_ensembles():
    with nengo.Network() as net:
        a, b = ensemble(), ensemble()
        configure_settings(trainable=None)
        net.config[nengo.Ensemble].trainable = False
        net.config[nengo.ensemble.Neurons].trainable = True
        net.config[b.neurons].trainable = None
        net.config[b].trainable = True
    resolver = TrainableResolver(net)
    assert (resolver(a), resolver.bias(a)) == (False, True)
    assert (resolver(b), resolver.bias(b)) == (True, None)


def test_neurons_follow_their_own_ensemble_object():
    with nengo.Network() as net:
        a = ensemble()
        configure_settings(trainable=True)
        net.config[a].trainable = False
    assert get_trainable(net, a.neurons) is False


def test_outer_settings_reach_into_inner_networks():
    with nengo.Network() as net:
        configure_settings(trainable=False)
        with nengo.Network(), nengo.Network() as inner:
            a = ensemble()
            conn = nengo.Connection(a, a)
    for obj in (a, a.neurons, conn):
        assert get_trainable(net, obj) is False
        assert get_trainable(inner, obj) is None, "what is outside of the simulation was used"


def test_inner_networks_win():
    with nengo.Network() as net:
        configure_settings(trainable=False)
        net.config[nengo.ensemble.Neurons].trainable = False
        outside = ensemble()
        with nengo.Network() as middle:
            configure_settings(trainable=True)
            a = ensemble()
            conn = nengo.Connection(a, a)
            with nengo.Network():
                b = ensemble()
            with nengo.Network():
                configure_settings(trainable=None)
                c = ensemble()
    middle.config[nengo.Connection].trainable = None
    resolver = TrainableResolver(net)
    for obj, expected in [(outside, False), (a, True), (b, True), (c, None)]:
        assert resolver(obj) is expected
        assert resolver.bias(obj) is expected
    assert resolver(conn) is None


def test_an_object_set_in_an_outer_network_wins_over_the_classes_of_the_inner():
    with nengo.Network() as net:
        configure_settings(trainable=None)
        with nengo.Network() as inner:
            configure_settings(trainable=True)
            a, b = ensemble(), ensemble()
        net.config[a].trainable = False
        net.config[b].trainable = False
        inner.config[b].trainable = True
    assert get_trainable(net, a) is False
    assert get_trainable(net, b) is True


def test_settings_of_a_neighbouring_network_do_not_count():
    with nengo.Network() as net:
        with nengo.Network() as left:
            configure_settings(trainable=False)
        with nengo.Network():
            a = ensemble()
        left.config[a].trainable = False
    assert get_trainable(net, a) is None


def test_subclasses_that_are_configured_separately():
    class Special(nengo.Ensemble):
        pass

    with nengo.Network() as net:
        net.config.configures(Special)
        configure_settings(trainable=False)
        plain = ensemble()
        special = Special(5, 1, add_to_container=False)
        net.ensembles.append(special)
    assert get_trainable(net, special) is False
    net.config[Special].trainable = True
    assert (get_trainable(net, special), get_trainable(net, plain)) == (True, False)
    net.config[special].trainable = None
    assert get_trainable(net, special) is None


def test_an_object_that_is_configured_with_something_else_only():
    with nengo.Network() as net:
        a = ensemble()
    net.config[nengo.Ensemble].set_param("place", nengo.params.Parameter("place", None))
    net.config[a].place = "here"
    assert get_trainable(net, a) is None
    with net:
        configure_settings(trainable=False)
    assert get_trainable(net, a) is False
    assert net.config[a].place == "here"


def test_looking_up_leaves_the_config_as_it_is():
    with nengo.Network() as net:
        configure_settings(trainable=True)
        a = ensemble()
        p = nengo.Probe(a)
    before = dict(net.config.params)
    TrainableResolver(net)(a)
    get_keep_history(net, p)
    get_setting(net, "dtype")
    assert net.config.params == before


# -- keep_history ----------------------------------------------------------------------------------


def test_keep_history_of_probes():
    with nengo.Network() as net:
        a = ensemble()
        p, q = nengo.Probe(a), nengo.Probe(a)
        assert get_keep_history(net, p) is True
        configure_settings(keep_history=False)
        net.config[q].keep_history = True
        with nengo.Network() as inner:
            r = nengo.Probe(a)
        with inner:
            configure_settings(keep_history=True)
            s = nengo.Probe(a)
        with nengo.Network():
            t = nengo.Probe(a)
    assert [get_keep_history(net, probe) for probe in (p, q, r, s, t)] == [
        False,
        True,
        True,
        True,
        False,
    ]


# -- nothing else is touched -----------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_keep_their_settings(how):
    with nengo.Network() as net:
        net.a, net.b = ensemble(), ensemble()
        net.conn = nengo.Connection(net.a, net.b)
        net.p = nengo.Probe(net.b)
        configure_settings(trainable=False, dtype="float64", keep_history=False, planner=planner)
        net.config[net.a].trainable = True
        net.config[net.b.neurons].trainable = None
        net.config[nengo.Connection].trainable = True
        net.config[net.p].keep_history = True

    twin = how(net)
    for each in (twin, net):
        resolver = TrainableResolver(each)
        assert resolver(each.a) is True
        assert resolver(each.b) is False
        assert resolver.bias(each.b) is None
        assert resolver(each.conn) is True
        assert get_keep_history(each, each.p) is True
        assert get_setting(each, "keep_history") is False
        assert get_setting(each, "dtype") == "float64"
        assert get_setting(each, "planner") is planner

    with twin:
        configure_settings(trainable=True, dtype="float32")
    twin.config[twin.a].trainable = False
    assert get_setting(net, "dtype") == "float64"
    assert get_trainable(net, net.a) is True
    assert get_trainable(twin, twin.a) is False


def test_networks_do_not_share_settings():
    with nengo.Network() as net:
        configure_settings(dtype="float64", trainable=False)
    with nengo.Network() as other:
        a = ensemble()
    assert get_setting(other, "dtype") is None
    assert get_trainable(other, a) is None
    for cls in (nengo.Network, nengo.Ensemble, nengo.Connection, nengo.Probe):
        for name in ("dtype", "trainable", "keep_history"):
            assert not hasattr(cls, name)
    assert not hasattr(net, "trainable")
    with pytest.raises(AttributeError):
        other.config[nengo.Ensemble].trainable  # noqa: B018


def test_a_configured_network_runs_in_nengo():
    with nengo.Network(seed=0) as net:
        a = ensemble()
        p = nengo.Probe(a)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(10)
    with net:
        configure_settings(trainable=False, dtype="float64", keep_history=False)
        net.config[a].trainable = True
    with nengo.Simulator(net, progress_bar=False) as configured:
        configured.run_steps(10)
    np.testing.assert_array_equal(configured.data[p], sim.data[p])


def test_editors_see_every_setting():
    parameters = inspect.signature(configure_settings).parameters
    assert set(parameters) - {"others"} == set(SETTINGS)
