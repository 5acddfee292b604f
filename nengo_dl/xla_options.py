"""Options of XLA's compiler for the CPU, set when nengo_dl is imported.

XLA reads the environment variable ``XLA_FLAGS`` once, before it compiles for the first time in a
process, so they are set for the whole process. Where ``XLA_FLAGS`` already has
``--xla_backend_extra_options``, those are left as they are; versions of XLA that do not know an
option ignore it.
"""

from __future__ import annotations

from collections.abc import MutableMapping

FLAG = "--xla_backend_extra_options"
OPTIONS = {
    # Loops whose body touches fewer bytes become one native function, in place of a function for
    # each operation, which are called one after the other: of a step of a small network, most of
    # the time went into the calls. Not more: backpropagation through 200 steps of 784-256-10
    # neurons took 60 ms with 32 KB and 100 ms with 64 KB on TensorFlow, 85 and 115 ms on JAX, and
    # beyond that the XLA of TensorFlow 2.21 gives the sum of 32,768 elements to a library, and
    # cannot ("Fusion kind not implemented") call it from there.
    "xla_cpu_small_while_loop_byte_threshold": "32768",
    # One loop over the neurons writes voltages, refractory times and spikes, instead of one each
    "xla_cpu_use_multi_output_fusion": "true",
}


def set_defaults(environment: MutableMapping[str, str]) -> None:
    """Add the options to ``XLA_FLAGS``."""
    flags = environment.get("XLA_FLAGS", "")
    if FLAG not in flags:
        options = ",".join(f"{name}={value}" for name, value in OPTIONS.items())
        environment["XLA_FLAGS"] = f"{flags} {FLAG}={options}".strip()
