"""What XLA compiles is freed before the process has no memory maps left."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl.runtime.backends import memory_maps

pytestmark = pytest.mark.usefixtures("nothing_compiled")


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """Sets the numbers of maps, now and at most."""

    def choose(now, most):
        (tmp_path / "maps").write_text("map\n" * now)
        (tmp_path / "limit").write_text(f"{most}\n")

    monkeypatch.setattr(memory_maps, "MAPS", tmp_path / "maps")
    monkeypatch.setattr(memory_maps, "LIMIT", tmp_path / "limit")
    return choose


def run(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(10)
        return np.array(sim.data[net.p])


def network(tau_rc=0.02):
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(10, 1, neuron_type=nengo.LIF(tau_rc=tau_rc))
        net.p = nengo.Probe(ensemble)
    return net


def test_room(maps):
    given_up = []

    def give_up():
        given_up.append(1)
        maps(10, 100)

    maps(49, 100)
    assert memory_maps.has_room(give_up) and not given_up
    maps(90, 100)
    assert memory_maps.has_room(give_up) and given_up
    maps(90, 100)
    assert not memory_maps.has_room(lambda: None)


def test_a_system_without_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_maps, "LIMIT", tmp_path / "none")
    assert memory_maps.used() == 0.0


@pytest.mark.core
def test_what_is_given_up_is_compiled_again(maps):
    """Also that of simulators that are in use."""
    maps(0, 100)
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(5)
        maps(60, 100)
        run(network(tau_rc=0.03))
        sim.run_steps(5)
        found = np.array(sim.data[net.p])
    maps(0, 100)
    np.testing.assert_array_equal(found, run(net))


@pytest.mark.core
def test_no_maps_left(maps, monkeypatch):
    """A plain graph where there is one, else an error; no crash of the process."""
    maps(90, 100)
    if keras.backend.backend() == "jax":
        with pytest.raises(SimulationError, match="max_map_count"):
            run(network(tau_rc=0.04))
        return
    executables = pytest.importorskip("nengo_dl.runtime.backends.tensorflow_executables")
    monkeypatch.setattr(executables.executables, "_warned", False)
    with pytest.warns(RuntimeWarning, match="max_map_count"):
        found = run(network(tau_rc=0.04))
    run(network(tau_rc=0.05))  # warns once only
    maps(0, 100)
    np.testing.assert_allclose(found, run(network(tau_rc=0.04)), atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow")
def test_executables_are_freed():
    """Their memory maps are gone when most functions are."""
    from nengo_dl.runtime.backends.tensorflow_executables import executables

    def n_maps():
        return len(memory_maps.MAPS.read_text().splitlines())

    executables.free()
    before = n_maps()
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(5)
        assert n_maps() > before
        executables.free()
        assert n_maps() <= before + 2
        sim.run_steps(5)
        assert n_maps() > before
