"""The examples in the docstrings of public objects run, and print what they show."""

import doctest
import importlib.util
import inspect

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from documentation.pages import same
from documentation.test_api import PUBLIC
from nengo_dl.energy import keras_counts
from nengo_dl.lowering import neurons

#: objects that need a package which may not be installed
OPTIONAL = ["nengo_dl.nir.to_nir"] if importlib.util.find_spec("nir") else []
NAMED = {**PUBLIC, **{name: nengo_dl.nir.to_nir for name in OPTIONAL}}
#: by the shorter of two names, with the module and without it
OBJECTS = {
    name: value
    for name, value in NAMED.items()
    if ">>>" in (value.__doc__ or "")
    and not any(value is NAMED[other] for other in NAMED if len(other) < len(name))
}
#: what a reader looks up first
USED_MOST = (
    *("Simulator", "Converter", "configure_settings", "TensorNode", "Layer", "tensor_layer"),
    *("load_params_into", "NengoLayer", "register_neurons", "InputNode"),
    *(f"layers.{name}" for name in ("SpikingActivation", "LIF", "AdaptiveLIF", "Lowpass", "Alpha")),
    *(f"layers.{name}" for name in ("RecurrentLIF", "RecurrentAdaptiveLIF")),
    *(f"events.{name}" for name in nengo_dl.events.__all__),
    *(f"layers.{name}" for name in ("LegendreMemory", "LMU", "LMUFeedforward")),
    *(f"losses.{name}" for name in ("nan_mse", "Regularize", "FiringRates")),
    *(f"dists.{name}" for name in nengo_dl.dists.__all__),
    *(f"energy.{name}" for name in ("count_model", "count_simulator", "EnergyReport", "Device")),
    *(f"viz.{name}" for name in nengo_dl.viz.__all__ if name[0].islower()),
)
METHODS = (
    *("run", "run_steps", "predict", "compile", "fit", "evaluate", "train_on_batch", "reset"),
    *("save_params", "load_params", "freeze_params", "get_nengo_params", "check_gradients"),
)


class Checker(doctest.OutputChecker):
    """Compares as the pages of the documentation are: numbers to the last digit that is shown."""

    def check_output(self, want, got, optionflags):
        return same(got, want)


def docstrings(value):
    """Those of an object and its methods; what closes it is last."""
    if not inspect.isclass(value):
        return [value.__doc__]
    names = [name for name in dir(value) if not name.startswith("_")]
    names.sort(key=lambda name: name == "close")
    methods = [inspect.getattr_static(value, name) for name in names]
    return [value.__doc__, *(method.__doc__ for method in methods if inspect.isfunction(method))]


@pytest.fixture(autouse=True)
def registries(monkeypatch, tmp_path):
    """What examples register and write is forgotten."""
    monkeypatch.setattr(neurons, "_lowerings", dict(neurons._lowerings))
    monkeypatch.setattr(keras_counts, "_connections", dict(keras_counts._connections))
    monkeypatch.chdir(tmp_path)
    yield
    if importlib.util.find_spec("matplotlib"):
        from matplotlib import pyplot

        pyplot.close("all")


@pytest.mark.parametrize("name", OBJECTS)
def test_examples(name):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(Checker(), verbose=False)
    names = {"keras": keras, "nengo": nengo, "nengo_dl": nengo_dl, "np": np}
    printed = []
    for text in docstrings(OBJECTS[name]):
        test = parser.get_doctest(text or "", names, name, None, None)
        runner.run(test, out=printed.append, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0, "".join(printed)


def test_what_is_used_most_has_an_example():
    without = [name for name in USED_MOST if f"nengo_dl.{name}" not in OBJECTS]
    methods = {name: getattr(nengo_dl.Simulator, name).__doc__ for name in METHODS}
    methods["verify"] = nengo_dl.Converter.verify.__doc__
    assert without + [name for name, text in methods.items() if ">>>" not in text] == []
