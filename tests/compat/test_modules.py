"""Modules of earlier versions: they import, take what is registered, and say what to write now."""

import importlib

import nengo
import numpy as np
import pytest
from nengo.builder import Builder
from nengo.builder.operator import Operator, Reset

import nengo_dl

MODULES = [name for name in nengo_dl._OLDER if name != "compat"]


@pytest.mark.parametrize("name", MODULES)
def test_modules_import(name):
    module = importlib.import_module(f"nengo_dl.{name}")
    assert getattr(nengo_dl, name) is module
    assert module.__name__ == f"nengo_dl.{name}"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


class Clock(nengo.Process):
    """Something that builds an operator of its own."""

    def __init__(self):
        super().__init__(default_size_in=0, default_size_out=1)


class SimClock(Operator):
    def __init__(self, output):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [output], [], [], []

    def make_step(self, signals, dt, rng):
        output = signals[self.sets[0]]

        def step():
            output[...] = 5

        return step


@Builder.register(Clock)
def build_clock(model, clock, sig_in=None, sig_out=None, **_):
    sig_out = nengo.builder.Signal(shape=(1,), name="clock") if sig_out is None else sig_out
    model.add_op(SimClock(sig_out))
    return sig_out


@pytest.mark.core
def test_registered_builders_are_not_used():
    with pytest.warns(DeprecationWarning, match="own NumPy step.*Kernel.*register_neurons"):

        @nengo_dl.builder.Builder.register(SimClock)
        class ClockBuilder(nengo_dl.builder.OpBuilder):
            def build_step(self, signals):
                raise AssertionError

    assert nengo_dl.builder.Builder.builders[SimClock] is ClockBuilder
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(Clock()))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
        np.testing.assert_array_equal(sim.data[probe], [[5], [5], [5]])


def test_builders_of_what_nengo_dl_computes():
    with pytest.warns(DeprecationWarning, match="nengo_dl's own kernel"):
        nengo_dl.builder.Builder.register(Reset)(nengo_dl.builder.OpBuilder)
    with pytest.raises(TypeError, match="expected a subclass of nengo.builder.Operator, got 5"):
        nengo_dl.builder.Builder.register(5)


def test_builders_of_neuron_types():
    from nengo_dl.neuron_builders import SimNeuronsBuilder

    class Mine(nengo.neurons.NeuronType):
        pass

    with pytest.warns(DeprecationWarning, match="LIFBuilder, which is not used"):
        from nengo_dl.neuron_builders import LIFBuilder

    class MineBuilder(LIFBuilder):
        pass

    implementations = SimNeuronsBuilder.TF_NEURON_IMPL
    try:
        with pytest.warns(DeprecationWarning, match="type Mine .*NumPy step.*register_neurons"):
            implementations[Mine] = MineBuilder
        assert implementations[Mine] is MineBuilder
        implementations[nengo.LIF] = LIFBuilder  # it is computed in tensors: nothing to say
    finally:
        implementations.clear()


def test_helpers():
    with pytest.warns(DeprecationWarning, match="use Simulator.get_name"):
        assert nengo_dl.utils.sanitize_name("a b: c*") == "a_b__c"
    with pytest.warns(DeprecationWarning, match="__name__"):
        assert nengo_dl.utils.function_name(np.mean) == "mean"
    with pytest.warns(DeprecationWarning, match="list_devices"):
        assert nengo_dl.utils.tf_gpu_installed in (True, False)


def test_tf_compat():
    tensorflow = pytest.importorskip("tensorflow")
    with pytest.warns(DeprecationWarning, match="use tensorflow.compat.v1"):
        assert nengo_dl.compat.tf_compat is tensorflow.compat.v1
