"""The libraries that read and write NIR, each where it is installed."""

import nengo
import numpy as np
import pytest

import nengo_dl
from deployment.digits import accuracy, classes, held, load_digits, make_network, train

nir = pytest.importorskip("nir")
torch = pytest.importorskip("torch")

from nengo_dl.nir import from_nir, to_nir  # noqa: E402

# of the libraries themselves
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

torch.set_num_threads(1)  # more wait for each other where the processor is shared
N_STEPS = 100
N_DIGITS = 200
LAYERS = ("hidden0", "hidden1")


@pytest.fixture(scope="module")
def digits():
    _, (images, labels) = load_digits()
    return images[:N_DIGITS], labels[:N_DIGITS]


@pytest.fixture(scope="module")
def trained():
    """A trained network, with its parameters in it."""
    net = make_network()
    with train(net) as sim:
        sim.freeze_params(net)
    return net


@pytest.fixture(scope="module")
def simulated(trained, digits):
    """Output (n, n_steps, 10) and spikes of each layer."""
    with trained:
        nengo_dl.configure_settings(inference_only=True)
    with nengo_dl.Simulator(trained, minibatch_size=N_DIGITS, progress_bar=False) as sim:
        result = sim.predict({trained.image: held(digits[0], N_STEPS)})
    spikes = [np.sum(result[probe] > 0) for probe in trained.spikes]
    return result[trained.out], dict(zip(LAYERS, spikes, strict=True))


def images_of(digits):
    return torch.from_numpy(np.asarray(digits[0], dtype=np.float32))


def run(model, images, layers=()):
    """Outputs (n, n_steps, ...) of a PyTorch model that takes and gives its state, and how often
    each of these layers spikes.
    """
    modules = dict(model.named_modules())
    counts = dict.fromkeys(layers, 0.0)

    def count(name):
        def hook(module, inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            counts[name] += float(torch.sum(output > 0))

        return hook

    hooks = [modules[name].register_forward_hook(count(name)) for name in layers]
    outputs, state = [], ()
    with torch.no_grad():
        for _ in range(N_STEPS):
            result = model(images, *state)
            output, *state = result if isinstance(result, tuple) else (result,)
            outputs.append(output.numpy())
    for hook in hooks:
        hook.remove()
    return np.stack(outputs, axis=1), counts


def assert_agree(simulated, outputs, counts, digits):
    """Within a point, and spikes within 2 %."""
    expected, spikes = simulated
    ours, theirs = accuracy(expected, digits[1]), accuracy(outputs, digits[1])
    print(f"accuracy: {ours:.4f} here, {theirs:.4f} there; spikes: {spikes} here, {counts} there")
    assert ours > 0.9
    assert abs(ours - theirs) <= 0.01
    for name in LAYERS:
        assert abs(counts[name] - spikes[name]) <= 0.02 * spikes[name]


# -- graphs of ours --------------------------------------------------------------------------------


def test_norse_runs_ours(trained, simulated, digits):
    norse = pytest.importorskip("norse.torch")
    graph = to_nir(trained, outputs=[trained.out], method="euler")
    model = norse.from_nir(graph, dt=0.001)
    assert_agree(simulated, *run(model, images_of(digits), LAYERS), digits)


def test_snntorch_runs_ours(trained, simulated, digits):
    module = pytest.importorskip("snntorch.import_nir")
    graph = to_nir(trained, outputs=[trained.out], method="euler", nir_dt=1e-4)
    model = module.import_from_nir(graph)
    assert_agree(simulated, *run(model, images_of(digits), LAYERS), digits)


def test_spikingjelly_runs_ours(trained, simulated, digits):
    module = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    graph = to_nir(trained, outputs=[trained.out], method="euler", nir_dt=1e-4)
    model = module.import_from_nir(graph, dt=1e-4)
    assert_agree(simulated, *run(model, images_of(digits), LAYERS), digits)


# -- graphs of theirs ------------------------------------------------------------------------------


def fit(model, reset, lr=5e-3, epochs=12, n_steps=10):
    """Train a PyTorch model on the digits, with its surrogate gradients."""
    (images, labels), _ = load_digits()
    x, y = torch.from_numpy(images).float(), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    torch.manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(150):
            state, total = reset(), 0
            for _ in range(n_steps):
                result = model(x[chosen], *state)
                output, state = (
                    (result[0], result[1:]) if isinstance(result, tuple) else (result, ())
                )
                total = total + output
            loss = torch.nn.functional.cross_entropy(total, y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    reset()


def assert_same_predictions(graph, outputs, digits, dt, **kwargs):
    """Read a graph, simulate it, and compare what it recognizes with their outputs."""
    net = from_nir(graph, dt=dt, method="euler", **kwargs)
    (stimulus,), (probe,) = net.inputs.values(), net.output_probes.values()
    with nengo_dl.Simulator(net, dt=dt, minibatch_size=N_DIGITS, progress_bar=False) as sim:
        found = sim.predict({stimulus: held(digits[0], N_STEPS)})[probe]
    theirs, ours = accuracy(outputs, digits[1]), accuracy(found, digits[1])
    same = np.mean(classes(outputs) == classes(found))
    print(f"accuracy: {theirs:.4f} there, {ours:.4f} here; the same for {same:.4f}")
    assert theirs > 0.8
    assert abs(theirs - ours) <= 0.01 and same >= 0.99
    return net


def test_norse_writes(digits):
    norse = pytest.importorskip("norse.torch")

    def cell(n, threshold):
        values = {"tau_mem_inv": 100.0, "v_leak": 0.0, "v_th": threshold, "v_reset": 0.0}
        values = {name: torch.full((n,), value) for name, value in values.items()}
        return norse.LIFBoxCell(norse.LIFBoxParameters(**values))

    torch.manual_seed(1)
    model = norse.SequentialState(
        torch.nn.Linear(64, 80), cell(80, 0.1), torch.nn.Linear(80, 10), cell(10, 0.1)
    )
    fit(model, lambda: ())
    outputs, _ = run(model, images_of(digits))
    # to_nir multiplies Norse's time constants with the dt that it is given
    graph = norse.to_nir(model, images_of(digits)[:1], dt=1)
    assert_same_predictions(graph, outputs, digits, dt=0.001, start="v_leak")


def test_snntorch_writes(digits):
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 80), leaky(snn, 80), torch.nn.Linear(80, 10), leaky(snn, 10)
    )
    fit(model, lambda: reset_snntorch(model))
    outputs, _ = run(model, images_of(digits))
    graph = export_to_nir(model, images_of(digits)[:1], ignore_dims=[0])
    assert_same_predictions(graph, outputs, digits, dt=1e-4)


def leaky(snn, n):
    """Neurons that NIR can express: with a hard reset, at once."""
    return snn.Leaky(
        beta=torch.full((n,), 0.9),
        threshold=torch.ones(n),
        init_hidden=True,
        reset_mechanism="zero",
        reset_delay=False,
    )


def reset_snntorch(model):
    from snntorch import utils

    utils.reset(model)
    return ()


def test_snntorch_writes_a_recurrent_network(digits):
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(64, 60)
            self.lif = snn.RLeaky(
                beta=0.9,
                threshold=torch.ones(60),
                init_hidden=True,
                reset_mechanism="zero",
                reset_delay=False,
                all_to_all=True,
                linear_features=60,
            )
            self.last = torch.nn.Linear(60, 10)

        def forward(self, x):
            spikes = self.lif(self.first(x))
            return self.last(spikes[0] if isinstance(spikes, tuple) else spikes)

    torch.manual_seed(1)
    model = Recurrent()
    fit(model, lambda: reset_snntorch(model))
    outputs, _ = run(model, images_of(digits))
    graph = export_to_nir(model, images_of(digits)[:1], ignore_dims=[0])
    assert any((b, a) in graph.edges for a, b in graph.edges)  # a loop
    net = assert_same_predictions(graph, outputs, digits, dt=1e-4)
    weights = [c for c in net.all_connections if c.pre_obj == c.post_obj]
    assert len(weights) == 1 and np.ptp(weights[0].transform.init) > 0


def test_spikingjelly_writes(digits):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    from spikingjelly.activation_based import functional, layer
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    torch.manual_seed(1)
    model = torch.nn.Sequential(
        layer.Linear(64, 80),
        neuron.LIFNode(tau=4.0, detach_reset=True),
        layer.Linear(80, 40),
        neuron.CUBALIFNode(c_decay=0.5, v_decay=0.9),
        layer.Linear(40, 10),
        neuron.IFNode(v_reset=-0.2),
    )

    def reset():
        functional.reset_net(model)
        return ()

    fit(model, reset)
    outputs, _ = run(model, images_of(digits))
    graph = export_to_nir(model, images_of(digits)[:1])
    assert_same_predictions(graph, outputs, digits, dt=1e-4, start="v_reset")


def test_values_of_pytorch_are_read():
    """Norse leaves tensors in its graphs; single numbers stand for all neurons."""
    norse = pytest.importorskip("norse.torch")
    model = norse.SequentialState(torch.nn.Linear(4, 8), norse.LIFBoxCell())
    net = from_nir(norse.to_nir(model, torch.zeros(1, 4), dt=1), dt=0.001)
    (conn, _), (ens,) = net.all_connections, net.all_ensembles
    np.testing.assert_allclose(
        ens.gain[0] * conn.transform.init, model[0].weight.detach().numpy(), rtol=1e-6
    )
    assert ens.n_neurons == 8 and isinstance(ens.neuron_type, nengo.LIF)
    assert ens.neuron_type.tau_rc == pytest.approx(0.01)
