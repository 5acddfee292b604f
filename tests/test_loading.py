"""How modules of other packages are loaded."""

import importlib.util
import os
import pkgutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import keras
import pytest

import nengo_dl
from nengo_dl import saved_classes
from nengo_dl.loading import LoadedBy, LoaderIn

PARTS = """
import sys, nengo_dl
nengo_dl.Simulator
large = [name for name in ("sklearn", "matplotlib.pyplot") if name in sys.modules]
print(large)
import keras
from keras.wrappers import SKLearnClassifier
from keras.src.wrappers.sklearn_wrapper import SKLearnClassifier as same
assert SKLearnClassifier is same is keras._tf_keras.keras.wrappers.SKLearnClassifier
assert callable(keras.visualization.plot_image_gallery)
assert "sklearn" in sys.modules and "matplotlib.pyplot" in sys.modules
"""


def test_a_package_is_loaded_in_a_context(tmp_path, monkeypatch):
    (tmp_path / "noisy_package").mkdir()
    (tmp_path / "noisy_package" / "__init__.py").write_text("from . import inside\n")
    (tmp_path / "noisy_package" / "inside.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []

    @contextmanager
    def context():
        seen.append("noisy_package.inside" in sys.modules)
        yield
        seen.append("noisy_package.inside" in sys.modules)

    finder = LoadedBy({"noisy_package"}, partial(LoaderIn, context=context))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert importlib.util.find_spec("noisy_package") is not None and seen == []
    package = importlib.import_module("noisy_package")
    assert seen == [False, True] and sys.meta_path[0] is finder
    assert package.__loader__ is package.__spec__.loader is not None
    assert package.__loader__.get_source("noisy_package") == "from . import inside\n"
    assert importlib.import_module("noisy_package.inside").__name__ in sys.modules


SAVE = """
import keras, numpy as np
from nengo_dl import constraints, layers, losses, regularizers, surrogates
neurons = layers.RecurrentLIF(
    surrogate=surrogates.triangle(0.5), recurrent_initializer=layers.DelayLines(1, 2)
)
regularized = keras.layers.Dense(3, kernel_regularizer=regularizers.L2(0.1))
model = keras.Sequential([keras.Input((4, 2)), regularized, neurons, layers.Lowpass(0.01)])
model.save("model.keras")
np.save("expected.npy", model(np.ones((1, 4, 2))))
"""
LOAD = """
import {first}
import {second}
import numpy as np
model = keras.saving.load_model("model.keras")
np.testing.assert_array_equal(model(np.ones((1, 4, 2))), np.load("expected.npy"))
from nengo_dl import layers
assert [type(layer) for layer in model.layers[1:]] == [layers.RecurrentLIF, layers.Lowpass]
assert type(model.layers[1].cell.recurrent_initializer) is layers.DelayLines
"""


@pytest.mark.core
def test_models_are_loaded_after_the_import_of_the_package(tmp_path):
    first, second = "nengo_dl", "keras"
    programs = [
        SAVE,
        *(LOAD.format(first=a, second=b) for a, b in ((first, second), (second, first))),
    ]
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr


def test_all_registered_classes_have_their_names():
    for module in pkgutil.walk_packages(nengo_dl.__path__, "nengo_dl."):
        if module.name.split(".")[1] in saved_classes.CLASSES:
            importlib.import_module(module.name)
    registered = {
        (cls.__module__.split(".")[1], name.partition(">")[2])
        for name, cls in keras.saving.get_custom_objects().items()
        if name.startswith("nengo_dl>") and not isinstance(cls, saved_classes._Later)
    }
    listed = {(module, name) for module, names in saved_classes.CLASSES.items() for name in names}
    base = {("layers", "SequenceLayer")}  # has no layers of its own
    assert registered - base == listed


@pytest.mark.core
@pytest.mark.parametrize("later", [True, False])
def test_large_parts_of_keras_are_loaded_when_they_are_used(later):
    environment = {**os.environ, "NENGO_DL_KERAS_PARTS_LATER": "1" if later else "0"}
    done = subprocess.run(
        [sys.executable, "-c", PARTS], env=environment, capture_output=True, text=True
    )
    loaded = "[]" if later else "['sklearn', 'matplotlib.pyplot']"
    assert (done.returncode, done.stdout.strip()) == (0, loaded), done.stderr
