"""The oracle sees differences, says where they are, and leaves the network alone."""

import functools
import sys

import nengo
import numpy as np
import pytest
from nengo.params import BoolParam

from oracle import assert_matches_nengo, draws_for_each_item, run_reference

reference_simulator = functools.partial(nengo.Simulator, optimize=False)


class ShiftedData:
    """A simulator like Nengo's, except that ``change`` is applied to the data of each probe."""

    def __init__(self, change, network, minibatch_size=None, **kwargs):
        self.sim = reference_simulator(network, **kwargs)
        self.change, self.minibatch_size = change, minibatch_size

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.close()

    def __getattr__(self, name):
        return getattr(self.sim, name)

    @property
    def data(self):
        probes = self.sim.model.probes
        return {probe: self.changed(np.array(self.sim.data[probe])) for probe in probes}

    def changed(self, values):
        if self.minibatch_size is not None:
            values = np.stack([values] * self.minibatch_size)
        return self.change(values)


def changing(change):
    return functools.partial(ShiftedData, change)


def small_network(**kwargs):
    with nengo.Network(**kwargs) as net:
        node = nengo.Node(lambda t: [np.sin(20 * t), 5 * t])
        ens = nengo.Ensemble(10, 2)
        nengo.Connection(node, ens)
        nengo.Probe(node, sample_every=0.003)
        nengo.Probe(ens.neurons)
    return net


def add(value, *where):
    def change(values):
        if values.shape[-1] == 10:
            values[where] += value
        return values

    return change


def test_equal_simulators_match():
    network = small_network()
    result = assert_matches_nengo(network, sim_class=reference_simulator, atol=0)
    assert result[network.probes[1]].shape == (50, 10)
    assert_matches_nengo(small_network, sim_class=nengo.Simulator)


def test_difference_is_located():
    sim_class = changing(add(1.5, slice(12, None), 3))
    with pytest.raises(AssertionError) as error:
        assert_matches_nengo(small_network(seed=0), dt=0.002, sim_class=sim_class)
    message = str(error.value)
    assert "1 of 2 probes differ" in message
    assert "probe 1, <Probe of 'output' of <Neurons of" in message
    assert "step 13 (t=0.026), column 3: " in message
    assert "38 of 500 values differ, by at most 1.5" in message


def test_missing_spike_is_a_difference():
    def without_first_spike(values):
        values.flat[np.flatnonzero(values)[0]] = 0
        return values

    with pytest.raises(AssertionError, match="2 of 2 probes differ"):
        assert_matches_nengo(small_network(), sim_class=changing(without_first_spike))


def test_tolerance_is_relative_to_the_largest_value():
    largest = np.abs(run_reference(small_network()).data[1]).max()
    assert largest == 1000
    assert_matches_nengo(small_network(), sim_class=changing(add(0.9e-6, 5)))
    with pytest.raises(AssertionError, match="allowed 1e-06"):
        assert_matches_nengo(small_network(), sim_class=changing(add(1.1e-6, 5)))


def test_not_a_number_is_a_difference():
    with pytest.raises(AssertionError, match="nan instead of"):
        assert_matches_nengo(small_network(), sim_class=changing(add(np.nan, 5)))


def test_shape_is_compared():
    with pytest.raises(AssertionError, match=r"shape \(49, 10\), expected \(50, 10\)"):
        assert_matches_nengo(small_network(), sim_class=changing(lambda values: values[:49]))


def test_items_of_a_minibatch_are_compared():
    kwargs = {"minibatch_size": 3, "sim_class": changing(add(1, 2, 7, 4))}
    with pytest.raises(AssertionError, match="item 2, step 8 .* column 4"):
        assert_matches_nengo(small_network(), **kwargs)

    def noisy_network():
        net = small_network()
        net.ensembles[0].noise = nengo.processes.WhiteNoise()
        return net

    assert_matches_nengo(noisy_network, **kwargs)  # only item 0 has to match
    with pytest.raises(AssertionError, match="item 0, step 8"):
        assert_matches_nengo(
            noisy_network, minibatch_size=3, sim_class=changing(add(1, slice(None), 7))
        )


def test_draws_for_each_item():
    def with_process(process, size_in=0):
        with nengo.Network() as net:
            nengo.Node(process, size_in=size_in)
        return net

    assert not draws_for_each_item(small_network())
    assert not draws_for_each_item(with_process(nengo.processes.WhiteNoise(seed=0)))
    assert not draws_for_each_item(with_process(nengo.Lowpass(0.1), size_in=1))
    assert draws_for_each_item(with_process(nengo.processes.WhiteNoise()))


@pytest.mark.parametrize("seed", [None, 3])
def test_seed_of_the_network_is_kept(seed):
    network = small_network(seed=seed)
    assert_matches_nengo(network, sim_class=reference_simulator)
    assert network.seed == seed


def test_configuration_of_the_network_is_put_back(monkeypatch):
    """Settings are put on the configuration of a network; they must not stay."""
    network = small_network()
    config = network.config
    config[nengo.Ensemble].set_param("flag", BoolParam("flag", default=None, optional=True))
    config[nengo.Ensemble].set_param("set", BoolParam("set", default=None, optional=True))
    config[nengo.Ensemble].set = True
    seen = []

    def configure_settings(dtype):
        inside = nengo.Network.context[-1].config
        inside.configures(nengo.Network)
        inside[nengo.Network].set_param("dtype", nengo.params.StringParam("dtype", default=dtype))
        inside[nengo.Ensemble].set_param("extra", BoolParam("extra", default=True))
        inside[nengo.Ensemble].flag = inside[nengo.Ensemble].set = False

    def simulator(network, **kwargs):
        seen.append(network.config[nengo.Network].dtype)
        return reference_simulator(network, **kwargs)

    package = type("nengo_dl", (), {})
    package.configure_settings, package.Simulator = staticmethod(configure_settings), simulator
    monkeypatch.setitem(sys.modules, "nengo_dl", package)
    assert_matches_nengo(network, dtype="float32")
    assert seen == ["float32"]
    assert nengo.Network not in config.params
    assert config[nengo.Ensemble].extra_params == ("flag", "set")
    assert config[nengo.Ensemble].flag is None
    assert "flag" not in config[nengo.Ensemble]
    assert config[nengo.Ensemble].set is True
