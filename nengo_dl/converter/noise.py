"""Layers that do something in training only."""

from __future__ import annotations

import keras

from nengo_dl.converter.base import LayerConverter, register


@register(
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)
class ConvertTrainingOnly(LayerConverter):
    """Nothing to add."""

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        if not converter.inference_only:
            return False, (
                "what it does in training has no equivalent in Nengo, unless inference_only=True "
                "leaves it out"
            )
        return super().convertible(layer, converter)

    def convert(self, node_id):
        return self.get_input_obj(node_id)
