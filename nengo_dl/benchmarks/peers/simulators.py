"""Jobs that simulate a Nengo network, in whatever simulator the interpreter has."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Job = tuple[Callable[[int], Any], dict[str, Any]]


def simulate(
    simulator: str,
    network: str,
    network_arguments: dict[str, Any] | None = None,
    minibatch_size: int | None = None,
    dtype: str = "float32",
    sample_every: float | None = None,
    keep: bool = False,
) -> Job:
    """Steps of a simulator that exists.

    Parameters
    ----------
    simulator
        "nengo", "nengo_dl", "nengo_dl_3" (NengoDL 3) or "nengo_ocl".
    network
        Name of a function of `networks`.
    network_arguments
        Its arguments.
    minibatch_size
        As in `nengo_dl.Simulator`; the others have none.
    dtype
        As in `nengo_dl.configure_settings`.
    sample_every
        Time between two samples of the probe, in seconds.
    keep
        Whether recordings of earlier runs are kept.
    """
    make, libraries = SIMULATORS[simulator]
    net = _network(network, network_arguments)
    net.p.sample_every = sample_every
    create = make(net, minibatch_size, dtype)
    start = time.perf_counter()
    sim = create()
    facts = _facts(net, sim, libraries)
    facts["build_seconds"] = time.perf_counter() - start
    if simulator == "nengo_dl":
        facts["device"] = device()

    def run(n_steps):
        if not keep and hasattr(sim, "clear_probes"):
            sim.clear_probes()
        sim.run_steps(n_steps, progress_bar=False)

    return run, facts


def interact(
    simulator: str, network: str, network_arguments: dict[str, Any] | None = None, how: str = "step"
) -> Job:
    """Single steps of a simulator that exists, as in a program that gives it inputs.

    Parameters
    ----------
    simulator, network, network_arguments
        As in `simulate`; the network has an ``input``, whose own output is ``value``.
    how
        "step": nothing but steps; "data": steps with data; "loop": what the probe saw in a step is
        the input of the next one. nengo.Simulator has no data and takes ``value``.
    """
    import numpy as np

    make, libraries = SIMULATORS[simulator]
    net = _network(network, network_arguments)
    sim = make(net, None, "float32")()
    facts = _facts(net, sim, libraries)
    takes_data = simulator != "nengo" and how != "step"
    given = np.zeros((1, 1, net.input.size_out))
    # `nengo.Simulator.data` makes an array of all samples whenever it is asked
    last = (sim.data.raw if simulator == "nengo" else sim.data).__getitem__

    def run(n_steps):
        if hasattr(sim, "clear_probes"):
            sim.clear_probes()
        for _ in range(n_steps):
            if takes_data:
                sim.run_steps(1, data={net.input: given}, progress_bar=False)
            else:
                sim.step()
            if how == "loop":
                seen = float(last(net.p)[-1][0])
                given[...] = net.value[...] = 0.1 * seen

    return run, facts


def build(
    simulator: str,
    network: str,
    network_arguments: dict[str, Any] | None = None,
    minibatch_size: int | None = None,
    dtype: str = "float32",
    again: bool = False,
    cached: bool = True,
) -> Job:
    """A new simulator in each run, and its first steps; parameters as in `simulate`.

    With ``again``, nengo_dl may use what it compiled in the run before. Without ``cached`` no
    decoders are known, as for a network that is new.
    """
    if not cached:
        import nengo

        nengo.rc.set("decoder_cache", "enabled", "False")
    make, libraries = SIMULATORS[simulator]
    net = _network(network, network_arguments)
    create = make(net, minibatch_size, dtype)
    facts: dict[str, Any] = {}  # known after a run

    def run(n_steps):
        if simulator == "nengo_dl" and not again:
            _forget_compiled()
        with create() as sim:
            facts.update(_facts(net, sim, libraries))
            if n_steps:
                sim.run_steps(n_steps, progress_bar=False)

    return run, facts


def _forget_compiled() -> None:
    from nengo_dl.runtime.backends.shared_functions import chunk_functions

    chunk_functions.clear()


def copy(n_bytes: int) -> Job:
    """Copy memory, once each step: as fast as anything that moves so many bytes can be."""
    import numpy as np

    source = np.ones(n_bytes // 8)
    target = np.zeros_like(source)

    def run(n_steps):
        for _ in range(n_steps):
            np.copyto(target, source)

    return run, {"versions": versions(["numpy"])}


def _network(name, arguments):
    from .. import networks

    return getattr(networks, name)(**(arguments or {}))


def _facts(net, sim, libraries) -> dict[str, Any]:
    return {
        "neurons": int(net.n_neurons),
        "ensembles": len(net.all_ensembles),
        "operators": len(sim.model.operators),
        "versions": versions(["nengo", "numpy", *libraries]),
    }


def versions(libraries: list[str]) -> dict[str, str]:
    """Versions of those of the libraries that are installed."""
    found = {}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:  # another distribution of it, or a checkout
            pass
    return found


def device() -> str:
    """Name of the device that Keras computes on, in an interpreter that has nengo_dl."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    return keras.distribution.list_devices()[0]


# -- simulators: what makes one, and the libraries whose versions matter ---------------------------


def _nengo(net, minibatch_size, dtype):
    import nengo

    # always in double precision, its default, in which it is no slower than in single precision
    return lambda: nengo.Simulator(net, progress_bar=False)


def _nengo_dl(net, minibatch_size, dtype):
    import keras  # noqa: F401  (no part of building a network)

    import nengo_dl

    if dtype != "float32":
        with net:
            nengo_dl.configure_settings(dtype=dtype)
    return lambda: nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False)


def _nengo_dl_3(net, minibatch_size, dtype):
    import nengo_dl

    with net:
        # its faster setting
        nengo_dl.configure_settings(inference_only=True, dtype=dtype)
    return lambda: nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False)


def _nengo_ocl(net, minibatch_size, dtype):
    import nengo_ocl
    import pyopencl

    context = pyopencl.create_some_context(interactive=False)
    return lambda: nengo_ocl.Simulator(net, context=context, progress_bar=False)


SIMULATORS = {
    "nengo": (_nengo, []),
    "nengo_dl": (_nengo_dl, ["nengo-dl", "keras", "tensorflow-cpu", "tensorflow", "jax"]),
    "nengo_dl_3": (_nengo_dl_3, ["nengo-dl", "tensorflow"]),
    "nengo_ocl": (_nengo_ocl, ["nengo-ocl", "pyopencl"]),
}
