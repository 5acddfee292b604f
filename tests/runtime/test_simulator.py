"""The simulator's public face: running, data, state, settings."""

import threading
import time
import warnings

import nengo
import numpy as np
import pytest
from nengo.exceptions import ReadonlyError, SimulatorClosed, ValidationError
from nengo.utils.progress import ProgressBar

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime import backends
from nengo_dl.runtime.checks import device_name
from nengo_dl.runtime.simulation.placement import Placement
from runtime.networks import reference, small, tutorial

N_STEPS = 60


@pytest.fixture(scope="module")
def model():
    return tutorial()


@pytest.fixture(scope="module")
def expected(model):
    return dict(zip(model.net.probes, reference(model.net, N_STEPS), strict=True))


@pytest.fixture(scope="module")
def shared(model):
    with nengo_dl.Simulator(model.net) as sim:
        yield sim


@pytest.fixture
def sim(shared):
    shared.reset()
    return shared


@pytest.fixture(scope="module")
def shared_batch(model):
    with nengo_dl.Simulator(model.net, minibatch_size=3) as sim:
        yield sim


@pytest.fixture
def batch_sim(shared_batch):
    shared_batch.reset()
    return shared_batch


def assert_recorded(sim, expected, atol=1e-5):
    for probe, values in expected.items():
        np.testing.assert_allclose(sim.data[probe], values, atol=atol, err_msg=str(probe))


# -- running ---------------------------------------------------------------------------------------


@pytest.mark.core
def test_matches_nengo(sim, model, expected):
    sim.run_steps(N_STEPS)
    assert_recorded(sim, expected)
    assert sim.data[model.spikes].max() > 0
    assert sim.data[model.slow_probe].shape == (N_STEPS // 5, 2)


@pytest.mark.core
def test_run_run_steps_and_step_add_up(sim, expected):
    sim.run(0.02)
    assert (sim.n_steps, sim.time) == (20, pytest.approx(0.02))
    for _ in range(7):
        sim.step()
    sim.run_steps(np.int64(N_STEPS - 27))
    assert sim.n_steps == N_STEPS
    assert_recorded(sim, expected)


def test_time_is_rounded_to_steps(sim):
    sim.run(0.0106)
    assert sim.n_steps == 11
    sim.run(0.0103)
    assert sim.n_steps == 21


def test_no_steps(sim, model):
    with pytest.warns(UserWarning, match="0 timesteps"):
        sim.run(0.0001)
    assert sim.n_steps == 0
    assert sim.data[model.out_probe].shape == (0, 2)
    with pytest.raises(ValidationError, match="Must be positive"):
        sim.run(-1)


def test_more_steps_than_fit_in_a_chunk():
    net, _, probes = small()
    (expected,) = reference(net, 2345, probes[1:])
    with nengo_dl.Simulator(net) as sim:
        assert sim._engine.chunks.most_steps == 1000
        sim.run(2.345)
    np.testing.assert_allclose(sim.data[probes[1]], expected, atol=1e-4)


def test_trange(sim, model):
    assert sim.trange().shape == (0,)
    sim.run_steps(12)
    np.testing.assert_allclose(sim.trange(), np.arange(1, 13) * 0.001)
    np.testing.assert_allclose(sim.trange(sample_every=0.005), [0.005, 0.01])
    assert len(sim.trange(sample_every=0.005)) == len(sim.data[model.slow_probe])
    with pytest.warns(DeprecationWarning, match="sample_every"):
        assert len(sim.trange(dt=0.005)) == 2
    with pytest.raises(ValidationError, match="Cannot specify both"):
        sim.trange(dt=0.005, sample_every=0.005)


def test_attributes(sim, model):
    assert sim.dt == 0.001
    assert not sim.closed
    assert isinstance(sim.model, nengo.builder.Model)
    assert "operators built" in str(sim.program)
    with pytest.raises(ReadonlyError):
        sim.dt = 0.002


def test_another_dt():
    net, _, probes = small()
    (expected,) = reference(net, 30, probes[1:], dt=0.002)
    with nengo_dl.Simulator(net, dt=0.002) as sim:
        sim.run(0.06)
        assert sim.n_steps == 30
        assert sim.time == pytest.approx(0.06)
    np.testing.assert_allclose(sim.data[probes[1]], expected, atol=1e-4)


def test_built_model():
    net, _, probes = small()
    model = nengo.builder.Model(dt=0.002)
    model.build(net)
    with nengo_dl.Simulator(None, model=model) as sim:
        assert sim.dt == 0.002
        sim.run_steps(4)
        assert sim.data[probes[0]].shape == (4, 1)


def test_build_into_a_model():
    net, _, probes = small()
    model = nengo.builder.Model(dt=0.001, label="mine")
    with nengo_dl.Simulator(net, model=model) as sim:
        assert sim.model is model
        sim.run_steps(2)
    assert sim.data[probes[0]].shape == (2, 1)


# -- what was recorded -----------------------------------------------------------------------------


def test_probe_data_cannot_be_written_to(sim, model):
    sim.run_steps(3)
    with pytest.raises(ValueError, match="read-only"):
        sim.data[model.out_probe][0] = 1


def test_probe_data_stays_what_it_was(sim, model):
    sim.run_steps(5)
    before = sim.data[model.in_probe]
    copy = before.copy()
    for _ in range(20):
        sim.step()
    np.testing.assert_array_equal(before, copy)
    np.testing.assert_array_equal(sim.data[model.in_probe][:5], copy)
    sim.reset()
    sim.run_steps(5, data={model.stimulus: np.full((1, 5, 1), 9.0)})
    np.testing.assert_array_equal(before, copy)


def test_parameters(sim, model, expected):
    with nengo.Simulator(model.net, progress_bar=False) as nengo_sim:
        for obj in (model.square, model.connection, model.net):
            ours, theirs = sim.data[obj], nengo_sim.data[obj]
            assert type(ours) is type(theirs)
            for name in getattr(theirs, "_fields", ()):
                a, b = getattr(ours, name), getattr(theirs, name)
                if isinstance(b, np.ndarray):
                    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)
        assert len(nengo_sim.model.params) == len(sim.data)
    assert len(sim.data) == len(set(sim.data))
    assert model.square in sim.data
    with pytest.raises(KeyError):
        sim.data[nengo.Node(1, add_to_container=False)]


@pytest.mark.core
def test_learned_weights_are_live():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        pre, post = nengo.Ensemble(10, 1), nengo.Ensemble(10, 1)
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-2))
        nengo.Connection(nengo.Node(1), conn.learning_rule)
        probe = nengo.Probe(conn, "weights")
    (expected,) = reference(net, 30)
    with nengo_dl.Simulator(net) as sim:
        initial = sim.data[conn].weights.copy()
        sim.run_steps(30)
        np.testing.assert_allclose(sim.data[conn].weights, expected[-1], atol=1e-12)
        assert not np.allclose(sim.data[conn].weights, initial)
        sim.reset()
        np.testing.assert_array_equal(sim.data[conn].weights, initial)
    assert sim.data[probe].shape == (0, *initial.shape)


# -- data ------------------------------------------------------------------------------------------


def test_forms_of_data(sim, model):
    ramp = np.linspace(-1, 1, N_STEPS).reshape(1, N_STEPS, 1)
    bias = np.tile([0.2, -0.1], (1, N_STEPS, 1))
    replayed = tutorial(stimulus=nengo.processes.PresentInput(ramp[0], 0.001))
    (expected,) = reference(replayed.net, N_STEPS, [replayed.out_probe])
    forms = [
        {model.stimulus: ramp},
        {"stimulus": ramp},
        {model.stimulus: ramp, "node": bias},
        [ramp, bias],
        (ramp.tolist(), bias.tolist()),
    ]
    for data in forms:
        sim.reset()
        sim.run_steps(N_STEPS, data=data)
        np.testing.assert_allclose(sim.data[model.in_probe], ramp[0], atol=1e-6)
        np.testing.assert_allclose(sim.data[model.out_probe], expected, atol=1e-5)
    for data in ([ramp], ramp):
        sim.reset()
        with pytest.warns(UserWarning, match="1 arrays were given for 2 Nodes"):
            sim.run_steps(N_STEPS, data=data)
        np.testing.assert_allclose(sim.data[model.out_probe], expected, atol=1e-5)


def test_data_for_one_run_only(sim, model, expected):
    sim.run_steps(10)
    sim.run(0.01, data={model.stimulus: np.full((1, 10, 1), 7.0)})
    sim.run_steps(10)
    recorded = sim.data[model.in_probe]
    np.testing.assert_allclose(recorded[:10], expected[model.in_probe][:10], atol=1e-6)
    np.testing.assert_array_equal(recorded[10:20], 7)
    np.testing.assert_allclose(recorded[20:], expected[model.in_probe][20:30], atol=1e-6)


def test_data_for_one_step(sim, model):
    for i in range(3):
        sim.step(data={model.stimulus: np.full((1, 1, 1), float(i))})
    np.testing.assert_array_equal(sim.data[model.in_probe].ravel(), [0, 1, 2])


def test_data_differs_by_item(batch_sim, model):
    data = np.random.RandomState(0).uniform(-1, 1, size=(3, N_STEPS, 1))
    batch_sim.run_steps(N_STEPS, data={model.stimulus: data})
    np.testing.assert_allclose(batch_sim.data[model.in_probe], data, atol=1e-6)
    for item in range(3):
        replayed = tutorial(stimulus=nengo.processes.PresentInput(data[item], 0.001))
        (expected,) = reference(replayed.net, N_STEPS, [replayed.out_probe])
        np.testing.assert_allclose(batch_sim.data[model.out_probe][item], expected, atol=1e-5)


# -- minibatches -----------------------------------------------------------------------------------


@pytest.mark.core
def test_minibatch(batch_sim, model, expected):
    batch_sim.run_steps(N_STEPS)
    assert_recorded(batch_sim, {probe: [values] * 3 for probe, values in expected.items()})
    assert batch_sim.data[model.square].bias.shape == (20,)
    assert batch_sim.data[model.slow_probe].shape == (3, N_STEPS // 5, 2)


def test_minibatch_of_one_has_its_axis():
    net, node, probes = small()
    with nengo_dl.Simulator(net, minibatch_size=1) as sim:
        assert sim.data[probes[0]].shape == (1, 0, 1)
        sim.run_steps(4)
        assert sim.data[probes[0]].shape == (1, 4, 1)
        assert sim.predict(n_steps=3)[probes[1]].shape == (1, 3, 1)


# -- predict ---------------------------------------------------------------------------------------


def test_predict_leaves_the_simulation_alone(sim, model, expected):
    sim.run_steps(20)
    predicted = sim.predict(n_steps=N_STEPS - 20)
    assert sim.n_steps == 20
    assert set(predicted) == set(model.net.probes)
    for probe in (model.in_probe, model.out_probe, model.spikes):
        values = predicted[probe]
        assert values.shape[0] == 1
        np.testing.assert_allclose(values[0], expected[probe][20:], atol=1e-5)
    sim.run_steps(N_STEPS - 20)
    assert_recorded(sim, expected)


def test_stateful_predict(sim, model, expected):
    parts = [sim.predict(n_steps=N_STEPS // 3, stateful=True)[model.out_probe] for _ in range(3)]
    assert sim.n_steps == N_STEPS
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1)[0], expected[model.out_probe], atol=1e-5
    )
    assert sim.data[model.out_probe].shape == (0, 2)


def test_predict_a_large_batch(batch_sim, model):
    data = np.random.RandomState(0).uniform(-1, 1, size=(9, 10, 1))
    predicted = batch_sim.predict({model.stimulus: data})[model.out_probe]
    assert predicted.shape == (9, 10, 2)
    for start in (0, 3, 6):
        part = batch_sim.predict_on_batch({"stimulus": data[start : start + 3]})
        np.testing.assert_array_equal(part[model.out_probe], predicted[start : start + 3])
    assert batch_sim.n_steps == 0


def test_minibatches_of_a_stateful_predict_follow_each_other(sim, model):
    data = np.random.RandomState(0).uniform(-1, 1, size=(2, 15, 1))
    predicted = sim.predict({model.stimulus: data}, stateful=True)[model.out_probe]
    sim.reset()
    sim.run_steps(30, data={model.stimulus: data.reshape(1, 30, 1)})
    np.testing.assert_allclose(predicted.reshape(30, 2), sim.data[model.out_probe], atol=1e-6)


def test_run_without_state(sim, model):
    for _ in range(2):
        sim.run_steps(10, stateful=False)
        assert sim.n_steps == 0
    recorded = sim.data[model.out_probe]
    assert recorded.shape == (20, 2)
    np.testing.assert_array_equal(recorded[:10], recorded[10:])


# -- state -----------------------------------------------------------------------------------------


@pytest.mark.core
def test_reset(sim, expected):
    sim.run_steps(33)
    sim.reset()
    assert (sim.n_steps, sim.time) == (0, 0)
    sim.run_steps(N_STEPS)
    assert_recorded(sim, expected)


def test_reset_that_keeps_probe_data(sim, model, expected):
    sim.run_steps(10)
    sim.reset(include_probes=False)
    sim.run_steps(10)
    recorded = sim.data[model.in_probe]
    np.testing.assert_array_equal(recorded[:10], recorded[10:])


def test_clear_probes(sim, model, expected):
    sim.run_steps(20)
    sim.clear_probes()
    assert sim.n_steps == 20
    assert sim.data[model.in_probe].shape == (0, 1)
    sim.run_steps(10)
    np.testing.assert_allclose(
        sim.data[model.out_probe], expected[model.out_probe][20:30], atol=1e-5
    )


def test_seed():
    net, _, _ = small()
    with nengo_dl.Simulator(net) as sim:
        assert sim.seed == net.seed + 1
        sim.reset(seed=7)
        assert sim.seed == 7
    with nengo_dl.Simulator(net, seed=5) as sim:
        assert sim.seed == 5
    net.seed = None
    np.random.seed(0)
    with nengo_dl.Simulator(net) as sim, nengo_dl.Simulator(net) as other:
        assert sim.seed != other.seed


@pytest.mark.core
@pytest.mark.parametrize("seed", [2**31 - 1, 2**31 + 5, np.uint32(2**32 - 1)])
def test_large_seeds_draw_what_nengo_draws(seed):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        probes = [
            nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(), size_out=2)),
            nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(0.1, 20))),
        ]
    with nengo.Simulator(net, seed=seed, progress_bar=False) as reference:
        reference.run_steps(5)
    with nengo_dl.Simulator(net, seed=seed, progress_bar=False) as sim:
        sim.run_steps(5)
        at_first = [sim.data[p] for p in probes]
        sim.reset(seed=1)
        sim.reset(seed=seed)
        sim.run_steps(5)
        for probe, values in zip(probes, at_first, strict=True):
            np.testing.assert_allclose(values, reference.data[probe], rtol=1e-12)
            np.testing.assert_array_equal(sim.data[probe], values)


@pytest.mark.parametrize("seed", [-1, 2**32, "a", 0.5])
def test_seeds_that_numpy_does_not_take(seed):
    net, _, _ = small()
    with pytest.raises(ValidationError, match="seed.*from 0 to 4294967295"):
        nengo_dl.Simulator(net, seed=seed)
    with nengo_dl.Simulator(net, seed=3) as sim:
        with pytest.raises(ValidationError, match="seed.*from 0 to 4294967295"):
            sim.reset(seed=seed)
        assert sim.seed == 3


def test_close():
    net, _, probes = small()
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(3)
    assert sim.closed
    assert sim.data[probes[0]].shape == (3, 1)
    assert (sim.n_steps, len(sim.trange())) == (3, 3)
    for call in (
        lambda: sim.run(1),
        lambda: sim.run_steps(1),
        sim.step,
        sim.reset,
        lambda: sim.predict(n_steps=1),
        sim.__enter__,
    ):
        with pytest.raises(SimulatorClosed, match="closed"):
            call()
    sim.close()  # once more does no harm


def test_open_simulators_are_not_forgotten():
    net, _, _ = small()
    sim = nengo_dl.Simulator(net)
    with pytest.warns(ResourceWarning, match="deallocated while open"):
        sim.__del__()
    sim.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.__del__()


def test_networks_can_be_simulated_again(model):
    """Nothing is written on the network."""
    before = {k: str(v) for k, v in vars(model.square).items()}
    with nengo_dl.Simulator(model.net):
        pass
    assert {k: str(v) for k, v in vars(model.square).items()} == before


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.core
def test_float64():
    model = tutorial(dtype="float64")
    expected = dict(zip(model.net.probes, reference(model.net, N_STEPS), strict=True))
    with nengo_dl.Simulator(model.net) as sim:
        sim.run_steps(N_STEPS)
    assert_recorded(sim, expected, atol=1e-11)
    np.testing.assert_array_equal(sim.data[model.spikes] > 0, expected[model.spikes] > 0)
    assert sim.data[model.out_probe].dtype == np.float64


@pytest.mark.core
def test_keep_history():
    net, node, probes = small(keep_history=False)
    with net:
        net.config[probes[0]].keep_history = True
    expected = reference(net, 25)
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        sim.run_steps(20)
        sim.run_steps(5)
        for probe, values in zip(probes, [expected[0], expected[1][-1:]], strict=True):
            np.testing.assert_allclose(sim.data[probe], [values] * 2, atol=1e-5)
        predicted = sim.predict(n_steps=5)
        assert predicted[probes[0]].shape == (2, 5, 1)
        assert predicted[probes[1]].shape == (2, 1, 1)


def test_not_stateful():
    net, _, probes = small(stateful=False)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(5)
        sim.run_steps(5)
        sim.predict(n_steps=5, stateful=True)
        assert sim.n_steps == 0
        recorded = sim.data[probes[1]]
    assert recorded.shape == (10, 1)
    np.testing.assert_array_equal(recorded[:5], recorded[5:])


@pytest.mark.core
def test_unroll_runs_exactly_the_steps_asked_for():
    net, _, probes = small()
    counts = [1, 5, 6, 7, 8, 23]
    expected = reference(net, sum(counts))
    with nengo_dl.Simulator(net, unroll_simulation=7) as sim:
        for i, n_steps in enumerate(counts):
            sim.run_steps(n_steps)
            assert sim.n_steps == len(sim.data[probes[0]]) == sum(counts[: i + 1])
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-5)


@pytest.mark.core
def test_unrolling_beyond_what_helps_is_not_done():
    net, _, probes = small()
    expected = reference(net, 19)
    with (
        pytest.warns(UserWarning, match="unroll_simulation=64: .* has 8 steps"),
        nengo_dl.Simulator(net, unroll_simulation=64) as sim,
    ):
        sim.run_steps(19)
        assert sim._engine.chunks.unroll == 8
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-5)


@pytest.mark.core
@pytest.mark.parametrize("unroll", [1, 3])
def test_inner_loops_of_a_gpu_run_exactly_the_steps_asked_for(unroll, monkeypatch):
    monkeypatch.setattr(Placement, "on_cpu", lambda self: False)
    net, _, probes = small()
    n = tuning.GPU_STEPS
    counts = [1, n - 1, n, n + 1, 2 * n + 7]
    expected = reference(net, sum(counts))
    with nengo_dl.Simulator(net, unroll_simulation=unroll) as sim:
        for i, n_steps in enumerate(counts):
            sim.run_steps(n_steps)
            assert sim.n_steps == len(sim.data[probes[0]]) == sum(counts[: i + 1])
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-5)


def test_device():
    net, _, probes = small()
    expected = reference(net, 10)
    with nengo_dl.Simulator(net, device="/cpu:0") as sim:
        sim.run_steps(10)
        assert "cpu" in str(sim._state.tensors[0].device).lower()
    np.testing.assert_allclose(sim.data[probes[1]], expected[1], atol=1e-5)


@pytest.mark.parametrize("name", ["/CPU:0", "cpu", "/device:CPU:0", "/job:localhost/device:CPU:0"])
def test_names_of_a_device(name):
    assert device_name(name, backends.active()) == "/cpu:0"


@pytest.mark.parametrize("jit_compile", [True, False])
def test_jit_compile(jit_compile):
    net, _, probes = small(jit_compile=jit_compile)
    expected = reference(net, 10)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(10)
    np.testing.assert_allclose(sim.data[probes[1]], expected[1], atol=1e-5)


class CountingBar(ProgressBar):
    """Remembers how far each stage came."""

    seen = []

    def update(self, progress):
        self.seen.append((progress.name_during, progress.n_steps, progress.max_steps))

    def close(self):
        self.seen.append("closed")


def test_progress_bars(sim):
    CountingBar.seen.clear()
    sim.run_steps(2500, progress_bar=CountingBar())
    assert CountingBar.seen[-1] == "closed"
    assert ("Simulating", 2500, 2500) in CountingBar.seen
    CountingBar.seen.clear()
    sim.run_steps(5, progress_bar=False)
    sim.step()
    assert CountingBar.seen == []


def test_progress_bar_of_the_constructor():
    net, _, _ = small()
    CountingBar.seen.clear()
    with nengo_dl.Simulator(net, progress_bar=CountingBar()) as sim:
        assert any(s[0] == "Building" for s in CountingBar.seen)
        sim.run_steps(3)
        assert ("Simulating", 3, 3) in CountingBar.seen


def test_names(sim, model):
    assert sim.get_name(model.stimulus) == "stimulus"
    assert sim.get_name(model.bias) == "node"
    names = [sim.get_name(probe) for probe in model.net.probes]
    assert names == ["probe", "out", "probe_1", "probe_2"]


def test_names_are_unique():
    with nengo.Network() as net:
        nodes = [nengo.Node(1, label=label) for label in ("a", "a", "a_1", None, None)]
    with nengo_dl.Simulator(net) as sim:
        names = [sim.get_name(node) for node in nodes]
    assert len(set(names)) == 5
    assert names[0] == "a"
    assert names[3:] == ["node", "node_1"]


def test_operators_as_nengo_shows_them():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(10, 1))
    with (
        nengo.Simulator(net, optimize=False, progress_bar=False) as reference,
        nengo_dl.Simulator(net, progress_bar=False) as sim,
    ):
        assert [str(op) for op in sim.step_order] == [str(op) for op in reference.step_order]
        assert len(sim.dg) == len(reference.dg)
        assert sim.seed == reference.seed
        assert sim.rng.randint(1000) == np.random.RandomState(sim.seed).randint(1000)
        sim.run_steps(steps=3)
        assert sim.n_steps == 3
        with pytest.raises(ValidationError, match="without data, give the number of steps"):
            sim.run_steps()


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_raw_samples_can_be_taken_away(minibatch_size):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([1.0, 2.0]))
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.run_steps(3)
        raw = sim.data.raw[probe]
        assert len(raw) == len(raw[:]) == 3 and list(sim.data.raw) == [probe]
        np.testing.assert_array_equal(raw[-1], sim.data[probe][..., -1, :])
        with pytest.raises(ValidationError, match="only all samples can be deleted"):
            del raw[:1]
        del raw[:]
        assert len(raw) == 0 == sim.data[probe].shape[-2]
        sim.step()
        assert len(raw) == 1 and sim.n_steps == 4


@pytest.mark.core
def test_steps_in_a_thread_for_a_front_end():
    """As Nengo GUI does it: another thread takes samples away and changes a Node's output."""

    class Slider(nengo.Process):
        value = 0.5

        def make_step(self, shape_in, shape_out, dt, rng, state):
            return lambda t: np.full(shape_out, self.value)

    slider, seen = Slider(), []
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(slider, size_out=1)
        show = nengo.Node(lambda t, x: seen.append((t, float(x[0]))), size_in=1)
        nengo.Connection(stim, show, synapse=None)
        nengo.Node(lambda t: None, size_out=0)
        probe = nengo.Probe(stim)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        seen.clear()  # Nengo called the function when it was made
        running = threading.Event()
        running.set()

        def step():
            while running.is_set():
                sim.step()

        thread = threading.Thread(target=step)
        thread.start()
        taken = 0
        for _ in range(2000):
            samples = sim.data.raw[probe]
            taken += len(samples[:])
            del samples[:]
            if len(seen) > 20:
                slider.value = -1.0
            if seen and seen[-1][1] == -1.0:
                break
            time.sleep(0.01)
        running.clear()
        thread.join()
        assert seen[0][1] == 0.5 and seen[-1][1] == -1.0
        assert [t for t, _ in seen] == pytest.approx(0.001 * np.arange(1, sim.n_steps + 1))
        assert taken > 10
        sim.reset()
        sim.step()
        assert sim.time == pytest.approx(0.001) and len(sim.data[probe]) == 1


@pytest.mark.core
@pytest.mark.parametrize("phase", [True, False, None])
def test_learning_phase_holds_in_every_call(phase):
    def outputs(neuron_type, phase):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(learning_phase=phase, dtype="float64")
            ensemble = nengo.Ensemble(20, 1, neuron_type=neuron_type)
            nengo.Connection(nengo.Node(0.5), ensemble, synapse=None)
            probe = nengo.Probe(ensemble.neurons)
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            predicted = sim.predict(n_steps=5)[probe][0]
            sim.run_steps(5)
            return sim.data[probe], predicted

    ran, predicted = outputs(nengo.LIF(), phase)
    np.testing.assert_array_equal(ran, predicted)
    expected, _ = outputs(nengo.LIFRate() if phase else nengo.LIF(), None)
    np.testing.assert_allclose(ran, expected, rtol=1e-12)
    assert np.any(ran)
