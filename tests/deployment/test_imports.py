"""What runs where no backend is installed."""

import subprocess
import sys

CODE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Refuse())
import nengo
import nengo_dl
import nengo_dl.dists, nengo_dl.neurons

with nengo.Network() as net:
    nengo_dl.configure_settings(dtype="float32", quantizer=8)
    a = nengo.Ensemble(10, 1, neuron_type=nengo_dl.neurons.SoftLIFRate(), label="a")
try:
    nengo_dl.load_params_into(net, sys.argv[1])
except FileNotFoundError:
    print("looked for the file")
"""
NIR = """
import nengo_dl.nir
nengo_dl.nir.to_nir, nengo_dl.nir.from_nir
print("nir")
"""


def run(code, *arguments):
    result = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_file_is_loaded_without_a_backend(tmp_path):
    assert run(CODE, str(tmp_path / "none.npz")) == "looked for the file\n"


def test_nir_without_a_backend(tmp_path):
    import pytest

    pytest.importorskip("nir")
    assert run(CODE + NIR, str(tmp_path / "none.npz")).endswith("nir\n")


def test_error_without_the_package():
    """The error says what to install."""
    code = """
import sys
sys.modules["nir"] = None
import nengo_dl.nir
try:
    nengo_dl.nir.to_nir
except ImportError as error:
    print(error)
"""
    assert 'pip install "nir>=1.0.8"' in run(code)
