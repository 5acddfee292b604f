"""How modules of other packages are loaded."""

import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import pytest

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


@pytest.mark.core
@pytest.mark.parametrize("later", [True, False])
def test_large_parts_of_keras_are_loaded_when_they_are_used(later):
    environment = {**os.environ, "NENGO_DL_KERAS_PARTS_LATER": "1" if later else "0"}
    done = subprocess.run(
        [sys.executable, "-c", PARTS], env=environment, capture_output=True, text=True
    )
    loaded = "[]" if later else "['sklearn', 'matplotlib.pyplot']"
    assert (done.returncode, done.stdout.strip()) == (0, loaded), done.stderr
