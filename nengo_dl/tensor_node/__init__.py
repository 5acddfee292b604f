"""Keras layers, Keras models and functions of tensors inside Nengo networks."""

from nengo_dl.tensor_node.layer import Layer, tensor_layer
from nengo_dl.tensor_node.node import TensorNode

__all__ = ["Layer", "TensorNode", "tensor_layer"]
