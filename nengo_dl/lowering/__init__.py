"""The maths of each operator family, in ``keras.ops`` only.

Importing this package enters every kernel in the compiler's registry. A new operator is one kernel
in one file here.
"""

from nengo_dl.lowering import (
    attributes,
    clipped_relu,
    convolution,
    delays,
    host,
    integrated_neurons,
    learning_rules,
    lif,
    loihi,
    neuron_types,
    neurons,
    products,
    smooth_neurons,
    synapses,
    tensor_nodes,
)

__all__ = [
    "attributes",
    "clipped_relu",
    "convolution",
    "delays",
    "host",
    "integrated_neurons",
    "learning_rules",
    "lif",
    "loihi",
    "neuron_types",
    "neurons",
    "products",
    "smooth_neurons",
    "synapses",
    "tensor_nodes",
]
