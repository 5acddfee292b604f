"""Files of parameters: what is refused, before anything of it is unpacked, and how files are
written."""

import os
import signal
import stat
import subprocess
import sys
import tracemalloc
import zipfile

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.runtime.parameters import param_file, whole_file


@pytest.fixture(scope="module")
def sim():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(10, 2, label="ens"), synapse=0.1)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
        yield sim


@pytest.fixture(scope="module")
def arrays(sim, tmp_path_factory):
    """All that a file of the simulator holds, by name."""
    path = tmp_path_factory.mktemp("params") / "good.npz"
    sim.save_params(path, include_state=True)
    with np.load(path) as file:
        return dict(file)


def refused(sim, path, match="", include_state=True):
    """Neither a simulator nor a network takes the file, and both stay as they were."""
    before, n_steps, seed = sim.data[sim.model.toplevel.ensembles[0]], sim.n_steps, sim.seed
    with pytest.raises(ValidationError, match=f"(?s){match}.*Nothing was changed") as caught:
        sim.load_params(path, include_state=include_state)
    assert "pickle" not in str(caught.getrepr(style="long"))
    assert (sim.n_steps, sim.seed) == (n_steps, seed)
    after = sim.data[sim.model.toplevel.ensembles[0]]
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


@pytest.mark.parametrize("value", [[1, 2], "a", np.nan, -1, 0, 1.5, True])
def test_formats_that_are_none(sim, arrays, tmp_path, value):
    np.savez(tmp_path / "p", **{**arrays, "nengo_dl/format": value})
    refused(sim, tmp_path / "p", "damaged.*format")


@pytest.mark.parametrize("value", ["zzz", 3, ["float32", "float32"], "float32" * 1000])
def test_precisions_that_are_none(sim, arrays, tmp_path, value):
    np.savez(tmp_path / "p", **{**arrays, "nengo_dl/dtype": value})
    refused(sim, tmp_path / "p", "damaged.*precision")


@pytest.mark.parametrize("name", ["n_steps", "origin", "seed"])
@pytest.mark.parametrize("value", [-5, np.nan, 1.5, "x", [1, 2], 2**63, True])
def test_numbers_of_a_state(sim, arrays, tmp_path, name, value):
    np.savez(tmp_path / "p", **{**arrays, f"state/{name}": value})
    refused(sim, tmp_path / "p", f"state '{name}'")


def test_states_that_are_no_numbers(sim, arrays, tmp_path):
    name = next(n for n in arrays if n.startswith("state/") and arrays[n].dtype.kind == "f")
    words = np.full(arrays[name].shape, "voltage")
    np.savez(tmp_path / "p", **{**arrays, name: words})
    refused(sim, tmp_path / "p", "holds <U7, not numbers")
    sim.load_params(tmp_path / "p")  # the parameters are all right


@pytest.mark.parametrize("value", [-1, 2**32, 0.5, [1]])
def test_seeds_of_ensembles(arrays, tmp_path, value):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 2, label="ens")
        nengo.Probe(ens, synapse=0.1)
    np.savez(tmp_path / "p", **{**arrays, "parameters/ens/seed": value})
    with pytest.raises(ValidationError, match="seed of 'ens'.*Nothing was changed"):
        nengo_dl.load_params_into(net, tmp_path / "p")
    assert ens.seed is None


def test_a_network_that_refuses_a_parameter_is_as_it_was(arrays, tmp_path):
    with nengo.Network(seed=0) as net:
        first, second = nengo.Ensemble(4, 1, label="first"), nengo.Ensemble(4, 1, label="second")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.save_params(tmp_path / "p")
    with np.load(tmp_path / "p.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "p", **{**arrays, "parameters/second/gain": np.full(4, np.nan)})
    before = [(ens.gain, ens.bias, ens.encoders, ens.seed) for ens in (first, second)]
    try:
        nengo_dl.load_params_into(net, tmp_path / "p")
    except ValidationError:
        assert [(ens.gain, ens.bias, ens.encoders, ens.seed) for ens in (first, second)] == before
    with pytest.raises(ValidationError, match="expected a nengo.Network, got 5 of type int"):
        nengo_dl.load_params_into(5, tmp_path / "p")


def _changed(raw, offset, value):
    """Bytes with another one in the first entry of an archive's directory."""
    changed = bytearray(raw)
    changed[raw.index(b"PK\x01\x02") + offset] = value
    return bytes(changed)


@pytest.fixture(scope="module")
def foreign(arrays, tmp_path_factory):
    """Contents of files that are no files of parameters."""
    folder = tmp_path_factory.mktemp("foreign")
    np.savez(folder / "good", **arrays)
    raw = (folder / "good.npz").read_bytes()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000,), }"
    start = b"\x93NUMPY\x01\x00"
    entries = {
        "an array of 800 TB": start + (118).to_bytes(2, "little") + header.ljust(117) + b"\n",
        "a long header": start + (60000).to_bytes(2, "little") + b" " * 60000,
        "another version": b"\x93NUMPY\x09\x00" + bytes(200),
        "no header": b"hello",
        "a pickle in the archive": b"\x80\x04K\x01.",
    }
    contents = {
        "another compression": _changed(raw, 10, 77),
        "an encrypted entry": _changed(raw, 8, 1),
        "text": b"hello\n" * 20,
        "a pickle": b"\x80\x04K\x01.",
        "nothing": b"",
    }
    for name, content in entries.items():
        path = folder / f"{name}.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("parameters/ens/bias.npy", content)
        contents[name] = path.read_bytes()
    return contents


def test_files_of_other_kinds(sim, foreign, tmp_path):
    for name, content in foreign.items():
        (tmp_path / "p.npz").write_bytes(content)
        refused(sim, tmp_path / "p", "p.npz is damaged", include_state=False), name


def test_damage_anywhere_is_a_clear_error_or_harmless(sim, arrays, tmp_path):
    np.savez_compressed(tmp_path / "good", **arrays)
    raw, rng = (tmp_path / "good.npz").read_bytes(), np.random.RandomState(0)
    for _ in range(300):
        damaged = bytearray(raw)
        for place in rng.randint(len(raw), size=rng.randint(1, 4)):
            damaged[place] = rng.randint(256)
        stop = rng.randint(len(raw)) if rng.rand() < 0.2 else len(raw)
        (tmp_path / "p.npz").write_bytes(damaged[:stop])
        try:
            sim.load_params(tmp_path / "p", include_state=True)
        except ValidationError as error:
            assert "pickle" not in str(error)


@pytest.mark.parametrize(
    "name", ["parameters/none/bias", "parameters/ens/bias", "state/x", "other"]
)
def test_nothing_is_unpacked_that_has_no_place(sim, arrays, tmp_path, name):
    zeros = np.broadcast_to(np.zeros(1, "float32"), (50, 1024, 1024))
    np.savez_compressed(tmp_path / "p", **{**arrays, name: zeros})
    tracemalloc.start()
    try:
        if name == "other":
            sim.load_params(tmp_path / "p", include_state=True)
        else:
            refused(sim, tmp_path / "p", "does not fit")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


# -- writing ---------------------------------------------------------------------------------------


def test_links_and_modes_stay(sim, tmp_path):
    private, target, link = (tmp_path / f"{n}.npz" for n in ("private", "target", "link"))
    private.write_bytes(b"old")
    private.chmod(0o600)
    link.symlink_to(target)  # which is not there yet
    sim.save_params(private)
    for _ in range(2):
        sim.save_params(link)
        assert link.is_symlink() and target.read_bytes()[:2] == b"PK"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link.npz", "plain", "private.npz", "target.npz"]


@pytest.mark.skipif(os.name != "posix", reason="processes are asked about by signals")
def test_what_a_killed_save_left_is_removed_by_the_next(tmp_path):
    code = """
import os, signal, sys
import numpy as np
from nengo_dl.runtime.parameters import param_file
def killed(file, **arrays):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
np.savez = killed
param_file.write(sys.argv[1], param_file.Contents({}))
"""
    path = tmp_path / "p.npz"
    param_file.write(path, param_file.Contents({}))
    before = path.read_bytes()
    process = subprocess.run([sys.executable, "-c", code, str(path)])
    assert process.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    assert path.read_bytes() == before
    mine = tmp_path / f"{whole_file._temporary(path)}{os.getpid()}-1.tmp"
    mine.touch()  # of a save that goes on
    param_file.write(path, param_file.Contents({}))
    assert sorted(os.listdir(tmp_path)) == sorted(["p.npz", mine.name])
