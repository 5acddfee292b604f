"""A Nengo network as a layer of a Keras model."""

from nengo_dl.nengo_layer.layer import NengoLayer

__all__ = ["NengoLayer"]
