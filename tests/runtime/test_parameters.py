"""The present parameters: in ``sim.data``, and as keyword arguments for other networks."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from runtime.parameter_networks import N_STEPS, assert_equal, change_parameters, mixed, recorded


@pytest.fixture(scope="module")
def net():
    return mixed()


@pytest.fixture(scope="module")
def sim(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change_parameters(sim)
        yield sim


def test_data_of_ensembles_is_consistent(net, sim):
    with nengo.Simulator(net, progress_bar=False) as reference:
        built = {ens: reference.data[ens] for ens in net.all_ensembles}
    for ens in net.all_ensembles:
        data = sim.data[ens]
        if isinstance(ens.neuron_type, nengo.Direct):
            np.testing.assert_array_equal(data.scaled_encoders, np.eye(2))
            continue
        lengths = [np.linalg.norm(d.encoders, axis=1) for d in (data, built[ens])]
        np.testing.assert_allclose(*lengths, rtol=1e-12)
        np.testing.assert_array_equal(data.eval_points, built[ens].eval_points)
        assert np.all(data.bias != built[ens].bias)
        moved = np.any(data.scaled_encoders != built[ens].scaled_encoders, axis=1)
        assert np.array_equal(data.gain != built[ens].gain, moved)
        assert np.all(moved) or ens.label == "d"  # into which nothing is encoded
        scale = (data.gain / ens.radius)[:, None]
        np.testing.assert_allclose(data.encoders * scale, data.scaled_encoders, rtol=1e-12)
        rates, intercepts = ens.neuron_type.max_rates_intercepts(data.gain, data.bias)
        np.testing.assert_array_equal(data.max_rates, rates)
        np.testing.assert_array_equal(data.intercepts, intercepts)
        assert np.all(data.max_rates != built[ens].max_rates)


def test_data_goes_back_with_reset(net):
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        ens = net.ensembles[0]
        before = sim.data[ens]
        change_parameters(sim)
        assert np.all(sim.data[ens].bias != before.bias)
        sim.reset()
        assert all(np.array_equal(x, y) for x, y in zip(sim.data[ens], before, strict=True))


def rebuild(net, sim):
    """The network once more, from keyword arguments only."""
    objects = {}
    with nengo.Network(seed=0) as copy:
        for old in (*net.all_nodes, *net.all_ensembles):
            if isinstance(old, nengo.Node):
                objects[old] = nengo.Node(old.output, size_in=old.size_in)
            else:
                params = sim.get_nengo_params(old)
                objects[old] = nengo.Ensemble(
                    old.n_neurons,
                    old.dimensions,
                    radius=old.radius,
                    neuron_type=old.neuron_type,
                    seed=sim.model.seeds[old],
                    **params,
                )
                objects[old.neurons] = objects[old].neurons
        for old in net.all_connections:
            pre, post = objects[old.pre_obj], objects[old.post_obj]
            arguments = sim.get_nengo_params(old)
            nengo.Connection(
                pre[old.pre_slice], post[old.post_slice], synapse=old.synapse, **arguments
            )
        for old in net.all_probes:
            target = objects[old.obj] if old.slice is None else objects[old.obj][old.slice]
            nengo.Probe(target, synapse=old.synapse, **sim.get_nengo_params(old))
    return copy


def test_keyword_arguments_rebuild_the_network(net, sim):
    sim.run_steps(N_STEPS)
    expected = [sim.data[probe] for probe in net.all_probes]
    assert_equal(recorded(nengo.Simulator, rebuild(net, sim)), expected)


def test_forms_of_the_result(net, sim):
    a, b = net.networks[0].ensembles
    conn = next(c for c in net.connections if c.label == "picked")
    single = sim.get_nengo_params(a)
    assert set(single) >= {"gain", "bias", "encoders", "normalize_encoders"}
    assert single["normalize_encoders"] is False
    listed = sim.get_nengo_params([a, conn])
    assert isinstance(listed, list)
    np.testing.assert_array_equal(listed[0]["bias"], single["bias"])
    assert set(listed[1]) == {"transform"}
    assert list(sim.get_nengo_params((a, b, conn), as_dict=True)) == ["a", "b", "picked"]
    assert list(sim.get_nengo_params(a, as_dict=True)) == ["a"]
    assert sim.get_nengo_params(net.ensembles[-1]) == {}  # of Direct neurons
    with pytest.raises(ValidationError, match="expected an Ensemble.*Nodes have no parameters"):
        sim.get_nengo_params(net.nodes[0])


def test_labels_as_keys_have_to_be_there_and_unique(net, sim):
    a, _ = net.networks[0].ensembles
    with pytest.raises(ValidationError, match="has no label.*as_dict=False"):
        sim.get_nengo_params([a, net.ensembles[0]], as_dict=True)
    with pytest.raises(ValidationError, match="more than one object has the label 'a'"):
        sim.get_nengo_params([a, a], as_dict=True)
