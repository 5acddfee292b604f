"""A trained classifier in other Nengo simulators, each where it is installed."""

import warnings

import nengo
import numpy as np
import pytest

import nengo_dl
from deployment.digits import N_HIDDEN, accuracy, load_digits, make_network, train

N_DIGITS = 100
STEPS = 100
DT = 0.001


@pytest.fixture(scope="module")
def digits():
    _, (images, labels) = load_digits()
    return images[:N_DIGITS], labels[:N_DIGITS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The file of the parameters of a classifier that was trained with rates."""
    path = tmp_path_factory.mktemp("deployment") / "digits"
    with train(make_network(nengo.LIF(amplitude=0.01)), epochs=12) as sim:
        sim.save_params(path)
    return path


def frozen(trained, digits, neuron_type=None):
    """The classifier made anew, with the file in it, as any simulator can run it: shown one digit
    after the other.
    """
    net = make_network(nengo.LIF(amplitude=0.01) if neuron_type is None else neuron_type)
    nengo_dl.load_params_into(net, trained)
    net.image.output = nengo.processes.PresentInput(digits[0], STEPS * DT)
    return net


def run(simulator, net, **kwargs):
    """Outputs (n, STEPS, 10), and how often each layer spikes."""
    with simulator(net, dt=DT, progress_bar=False, **kwargs) as sim:
        sim.run_steps(N_DIGITS * STEPS)
        outputs = np.array(sim.data[net.out]).reshape(N_DIGITS, STEPS, 10)
        return outputs, [int(np.sum(sim.data[probe] > 0)) for probe in net.spikes]


@pytest.fixture(scope="module")
def in_nengo(trained, digits):
    return run(nengo.Simulator, frozen(trained, digits))


def test_spikes_in_nengo(in_nengo, trained, digits):
    """As accurate as here, and as many spikes; in single precision they are not all the same."""
    net = frozen(trained, digits)
    with net:
        nengo_dl.configure_settings(inference_only=True)
    here, spikes = run(nengo_dl.Simulator, net)
    report("nengo_dl", in_nengo, (here, spikes), digits)
    assert accuracy(here, digits[1]) > 0.9
    assert abs(accuracy(in_nengo[0], digits[1]) - accuracy(here, digits[1])) <= 0.01
    np.testing.assert_allclose(in_nengo[1], spikes, rtol=0.01)


@pytest.mark.core
def test_rates_in_nengo(trained, digits):
    """Without spikes the outputs are the same to rounding."""
    net = frozen(trained, digits, nengo.LIFRate(amplitude=0.01))
    with net:
        nengo_dl.configure_settings(dtype="float64", inference_only=True)
    outputs = []
    for simulator in (nengo.Simulator, nengo_dl.Simulator):
        with simulator(net, progress_bar=False) as sim:
            sim.run_steps(5 * STEPS)
            outputs.append(np.array(sim.data[net.out]))
    np.testing.assert_allclose(*outputs, atol=1e-6 * np.abs(outputs[0]).max(), rtol=0)
    assert np.ptp(outputs[0]) > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_nengo_ocl(in_nengo, trained, digits):
    cl = pytest.importorskip("pyopencl")
    nengo_ocl = pytest.importorskip("nengo_ocl")
    platforms = cl.get_platforms()
    if not platforms:
        pytest.skip("there is no OpenCL platform")
    context = cl.Context(platforms[0].get_devices()[:1])
    outputs, spikes = run(nengo_ocl.Simulator, frozen(trained, digits), context=context)
    report("nengo_ocl", in_nengo, (outputs, spikes), digits)
    assert abs(accuracy(outputs, digits[1]) - accuracy(in_nengo[0], digits[1])) <= 0.01
    np.testing.assert_allclose(spikes, in_nengo[1], rtol=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_loihi_emulator(in_nengo, trained, digits):
    """The second layer on the chip: weights of 8 bits, times of whole steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nengo_loihi = pytest.importorskip("nengo_loihi")
    net = frozen(trained, digits)
    nengo_loihi.add_params(net)
    net.config[net.hidden[0]].on_chip = False
    outputs, spikes = run(nengo_loihi.Simulator, net, target="sim")
    report("nengo_loihi", in_nengo, (outputs, spikes), digits)
    assert accuracy(outputs, digits[1]) >= accuracy(in_nengo[0], digits[1]) - 0.05
    np.testing.assert_allclose(spikes, in_nengo[1], rtol=0.1)
    assert len(spikes) == len(N_HIDDEN)


def report(name, expected, found, digits):
    rows = zip(("nengo", name), (expected, found), strict=True)
    for simulator, (outputs, spikes) in rows:
        print(f"{simulator}: accuracy {accuracy(outputs, digits[1]):.4f}, spikes {spikes}")


def test_what_nengo_loihi_looks_up():
    """It enters its neuron types as soon as it makes one."""
    entered = nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL
    assert isinstance(entered, dict)
