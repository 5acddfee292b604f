"""Synapses of nengo_dl in Nengo: what a delay gives, how it is made, and what it refuses."""

import copy
import pickle

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.synapses import Delay

X = np.arange(1.0, 7.0)[:, None] * [1, 10]


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_input_of_so_many_steps_ago(steps):
    expected = np.concatenate([np.zeros((steps, 2)), X])[:6]
    assert np.array_equal(Delay(steps * 0.001).filt(X), expected)
    assert np.array_equal(Delay(steps * 0.002).filt(X, dt=0.002), expected)


def test_an_element_each():
    delayed = Delay([0.0, 0.0026]).filt(X)  # to whole steps
    assert np.array_equal(delayed[:, 0], X[:, 0])
    assert np.array_equal(delayed[:, 1], [0, 0, 0, 10, 20, 30])


@pytest.mark.parametrize("then", [nengo.Alpha(0.003), nengo.Triangle(0.004), Delay([0.001, 0])])
def test_then(then):
    expected = then.filt(Delay([0.001, 0.003]).filt(X))
    assert np.allclose(Delay([0.001, 0.003], then).filt(X), expected)
    assert np.allclose(Delay(0, then).filt(X), then.filt(X))
    assert Delay(0, 0.005).then == nengo.Lowpass(0.005)


@pytest.mark.parametrize(
    ("then", "gain"),
    [
        (None, 1),
        (nengo.Lowpass(0.003), 1),
        (nengo.LinearFilter([4], [0.01, 0.3, 2]), 2),
        (nengo.Triangle(0.004), 1),
    ],
)
def test_initial_level(then, gain):
    level = np.full((5, 2), 3.0)
    assert np.allclose(Delay(0.002, then).filt(level / gain, y0=3.0), level)


def test_both_ways():
    pulse = np.eye(9)[4][:, None]
    assert np.array_equal(Delay(0.002).filtfilt(pulse), pulse)


def test_a_connection_takes_one_step_besides():
    """As every synapse; a Node's process does not."""
    with nengo.Network() as net:
        node = nengo.Node(lambda t: t)
        processes = [Delay(0), Delay(0.002), Delay(0.002, then=nengo.Lowpass(0)), nengo.Lowpass(0)]
        probes = [nengo.Probe(node, synapse=process) for process in processes]
        direct = nengo.Node(Delay(0.002), size_in=1)
        nengo.Connection(node, direct, synapse=None)
        probes.append(nengo.Probe(direct))
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(6)
    last = [round(1000 * sim.data[probe][-1, 0]) for probe in probes]
    assert last == [5, 3, 3, 5, 4]


def test_as_an_object():
    synapse = Delay(np.array([0.001, 0.002]), then=nengo.Lowpass(0.005))
    for again in (copy.copy(synapse), copy.deepcopy(synapse), pickle.loads(pickle.dumps(synapse))):
        assert again == synapse and hash(again) == hash(synapse)
        assert np.array_equal(again.filt(X), synapse.filt(X))
    assert synapse != Delay([0.001, 0.003], then=nengo.Lowpass(0.005))
    assert synapse != Delay([0.001, 0.002])
    assert eval(repr(synapse), {"array": np.array, "Lowpass": nengo.Lowpass, "Delay": Delay}) == (
        synapse
    )
    assert repr(Delay(0.01)) == "Delay(tau=0.01)"
    with pytest.raises(ValueError, match="read-only"):
        synapse.tau[0] = 0
    with pytest.raises(ValidationError, match="read-only"):
        synapse.tau = 0.1


@pytest.mark.parametrize(
    ("tau", "message"),
    [
        (-0.001, "not negative, got -0.001"),
        ([0.001, np.nan], "finite and not negative, got nan"),
        (np.inf, "got inf"),
        ([[0.001]], r"a vector of one for each element, got shape \(1, 1\)"),
        ([], r"got shape \(0,\)"),
        ("long", "a number of seconds, or one for each element, got 'long'"),
        (None, "got None"),
        ([0.1, [0.2]], "got"),
    ],
)
def test_refused(tau, message):
    with pytest.raises(ValidationError, match=f"Delay.tau: expected .*{message}"):
        Delay(tau)
    with pytest.raises(ValidationError, match=r"Delay.then"):
        Delay(0.1, then="Lowpass")


def test_another_number_of_elements():
    with nengo.Network() as net:
        nengo.Probe(nengo.Node([0.0, 0.0]), synapse=Delay([0.001] * 3))
    with pytest.raises(ValidationError, match=r"Delay.tau: has 3 delays, but .* 2 elements"):
        nengo.Simulator(net, progress_bar=False)
