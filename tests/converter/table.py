"""The layers that are converted to Nengo objects, each with a model that shows it.

The tests verify every row, and the table in ``docs/converter.md`` is written from them: ``python
tests/converter/table.py`` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

L = keras.layers
DOCUMENT = Path(__file__).parents[2] / "docs" / "converter.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True)
class Row:
    """A layer with arguments.

    Attributes
    ----------
    text
        The arguments, as the documentation has them.
    shape
        Shape of one item of the input.
    make
        Symbolic input -> output.
    trains
        Whether a step of training is compared too.
    options
        Arguments of the converter without which the layer is not converted.
    reference
        Where the network is not to give what ``make`` does, the same for what it is to give.
    """

    layer: str
    text: str
    shape: tuple[int, ...]
    make: Callable[[Any], Any]
    trains: bool = True
    options: dict[str, bool] = field(default_factory=dict)
    reference: Callable[[Any], Any] | None = None


def row(cls, shape, trains=True, text=None, options=None, reference=None, **kwargs) -> Row:
    """A row of a layer class and its arguments."""
    written = ", ".join(f"{name}={_written(value)}" for name, value in kwargs.items())
    # a channel axis in front is an option of Keras that TensorFlow has on GPUs only
    return Row(
        cls.__name__,
        written if text is None else text,
        shape,
        lambda x: cls(**kwargs)(x),
        trains,
        options or {},
        reference,
    )


def _written(value) -> str:
    if isinstance(value, keras.Layer):
        return f"{type(value).__name__}(...)"
    if isinstance(value, (keras.regularizers.Regularizer, keras.initializers.Initializer)):
        return type(value).__name__
    return getattr(value, "__name__", None) or repr(value)


INFERENCE = {"inference_only": True}
TEMPORAL = {"temporal_model": True}
AS_AVERAGE = {"max_to_avg_pool": True}
COPIES = {"split_shared_weights": True}
FIRST = {"data_format": "channels_first"}
L2 = keras.regularizers.L2(0.1)


def _shared(x):
    layer = L.Dense(3, activation="relu")
    return L.Add()([layer(x), layer(L.Dense(4)(x))])


def _nested(x):
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="relu"), L.Dense(4)])
    y = keras.Input((4,))
    outer = keras.Model(y, L.Add()([y, inner(y)]))
    return L.Dense(2)(outer(x))


def _frozen(layer):
    layer.trainable = False
    return layer


FAMILIES: dict[str, list[Row]] = {
    "dense": [
        row(L.Dense, (4,), units=3),
        row(L.Dense, (4,), units=3, use_bias=False, activation="relu"),
        row(L.Dense, (2, 3, 4), units=5, activation="tanh"),
        row(L.Dense, (4,), units=3, kernel_regularizer=L2, bias_regularizer=L2),
        row(L.Dense, (3, 4), units=3, kernel_regularizer=keras.regularizers.L1(0.1)),
        row(L.Dense, (4,), units=4, kernel_regularizer=keras.regularizers.OrthogonalRegularizer()),
        Row("Dense", "shared by two calls", (4,), _shared, True, INFERENCE),
        Row("Model", "inside a model", (4,), _nested),
    ],
    "activation": [
        row(L.Activation, (5,), activation="linear"),
        row(L.Activation, (5,), activation="relu"),
        row(L.Activation, (5,), activation="relu6"),
        row(L.Activation, (5,), activation="leaky_relu"),
        row(L.Activation, (5,), activation="sigmoid"),
        row(L.Activation, (5,), activation="tanh"),
        row(L.ReLU, (5,)),
        row(L.ReLU, (5,), max_value=0.5),
        row(L.ReLU, (5,), negative_slope=0.1),
        row(L.ReLU, (5,), max_value=0.5, negative_slope=0.1, threshold=0.2),
        row(L.LeakyReLU, (5,), negative_slope=0.4),
        row(L.Activation, (5,), activation="silu"),
        row(L.Activation, (5,), activation="gelu"),
        row(L.Activation, (5,), activation="selu"),
        row(L.ELU, (5,), alpha=0.5),
        row(L.Softmax, (5,)),
        row(L.Softmax, (2, 3, 4), axis=2),
        row(L.Dense, (2, 4), units=3, activation="softmax"),
        row(L.Dense, (4,), units=3, activation=L.LeakyReLU(negative_slope=0.1)),
        row(L.PReLU, (5,), trains=False, options=INFERENCE),
        row(L.PReLU, (3, 2, 2), trains=False, options=INFERENCE, shared_axes=[1, 2]),
    ],
    "convolution": [
        row(L.Conv1D, (7, 2), filters=3, kernel_size=3, activation="relu"),
        row(L.Conv1D, (7, 2), filters=3, kernel_size=3, strides=2, padding="same"),
        row(L.Conv1D, (7, 2), filters=3, kernel_size=3, padding="causal"),
        row(L.Conv1D, (7, 2), filters=3, kernel_size=3, padding="causal", strides=2),
        row(L.Conv1D, (7, 4), filters=6, kernel_size=3, groups=2),
        row(L.Conv1D, (7, 2), filters=3, kernel_size=2, dilation_rate=3),
        row(L.Conv2D, (5, 6, 2), filters=3, kernel_size=3),
        row(L.Conv2D, (5, 6, 2), filters=3, kernel_size=(2, 3), padding="same", use_bias=False),
        row(L.Conv2D, (5, 6, 2), filters=3, kernel_size=3, strides=(2, 1), padding="same"),
        row(L.Conv2D, (6, 6, 2), filters=3, kernel_size=4, strides=3, activation="relu"),
        row(L.Conv2D, (5, 6, 4), filters=6, kernel_size=2, groups=2),
        row(L.Conv2D, (5, 6, 2), filters=3, kernel_size=2, dilation_rate=2, padding="same"),
        row(L.Conv2D, (5, 6, 2), filters=3, kernel_size=2, kernel_regularizer=L2),
    ],
    "three dimensions": [
        row(L.Conv3D, (4, 5, 3, 2), filters=3, kernel_size=2, activation="relu"),
        row(L.Conv3D, (4, 5, 3, 2), filters=3, kernel_size=3, strides=2, padding="same"),
        row(L.Conv3DTranspose, (2, 3, 2, 2), filters=2, kernel_size=3, strides=2),
    ],
    "depthwise": [
        row(L.DepthwiseConv1D, (7, 2), kernel_size=3),
        row(L.DepthwiseConv2D, (5, 6, 3), kernel_size=3, padding="same", activation="relu"),
        row(L.DepthwiseConv2D, (5, 6, 2), kernel_size=2, depth_multiplier=3, strides=2),
        row(L.DepthwiseConv2D, (5, 6, 2), kernel_size=2, dilation_rate=2),
        row(L.DepthwiseConv2D, (5, 6, 2), kernel_size=2, depthwise_regularizer=L2),
        row(L.SeparableConv1D, (7, 2), filters=3, kernel_size=3, padding="same"),
        row(L.SeparableConv2D, (5, 6, 2), filters=3, kernel_size=3, activation="relu"),
        row(L.SeparableConv2D, (5, 6, 2), filters=3, kernel_size=3, depth_multiplier=2, strides=2),
    ],
    "transposed": [
        row(L.Conv1DTranspose, (5, 2), filters=3, kernel_size=3, strides=2, padding="same"),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=3, activation="relu"),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=2, strides=3),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=3, strides=2, padding="same"),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=4, strides=2, padding="same"),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=3, strides=2, output_padding=1),
        row(L.Conv2DTranspose, (3, 4, 2), filters=3, kernel_size=2, kernel_regularizer=L2),
    ],
    "pooling": [
        row(L.AveragePooling1D, (7, 2), pool_size=2),
        row(L.AveragePooling1D, (7, 2), pool_size=3, strides=2, padding="same"),
        row(L.AveragePooling2D, (5, 6, 2), pool_size=2),
        row(L.AveragePooling2D, (5, 6, 2), pool_size=3, strides=1),
        row(L.AveragePooling2D, (5, 6, 2), pool_size=(2, 3), padding="same"),
        row(L.AveragePooling3D, (4, 5, 3, 2), pool_size=2, padding="same"),
        row(L.GlobalAveragePooling1D, (7, 2)),
        row(L.GlobalAveragePooling2D, (5, 6, 2)),
        row(L.GlobalAveragePooling2D, (5, 6, 2), keepdims=True),
        row(L.GlobalAveragePooling3D, (4, 5, 3, 2)),
    ],
    "maximum pooling": [
        row(L.MaxPooling1D, (7, 2), pool_size=2),
        row(L.MaxPooling1D, (8, 2), pool_size=3, strides=2, padding="same"),
        row(L.MaxPooling2D, (5, 6, 2), pool_size=2),
        row(L.MaxPooling2D, (5, 6, 2), pool_size=3, strides=2, padding="same"),
        row(L.MaxPooling3D, (4, 5, 3, 2), pool_size=(2, 1, 3)),
        row(L.GlobalMaxPooling1D, (7, 2)),
        row(L.GlobalMaxPooling2D, (3, 5, 2), keepdims=True),
    ],
    "pooling, as an average": [
        row(L.MaxPooling1D, (7, 2), False, None, AS_AVERAGE, L.AveragePooling1D(2), pool_size=2),
        row(L.MaxPooling2D, (5, 6, 2), False, None, AS_AVERAGE, L.AveragePooling2D(2), pool_size=2),
        row(
            L.MaxPooling3D,
            (4, 5, 3, 2),
            False,
            None,
            AS_AVERAGE,
            L.AveragePooling3D(2),
            pool_size=2,
        ),
        row(L.GlobalMaxPooling1D, (7, 2), False, None, AS_AVERAGE, L.GlobalAveragePooling1D()),
        row(L.GlobalMaxPooling2D, (5, 6, 2), False, None, AS_AVERAGE, L.GlobalAveragePooling2D()),
    ],
    "shape": [
        row(L.Flatten, (2, 3, 2)),
        row(L.Flatten, (2, 3, 2), data_format="channels_first"),
        row(L.Reshape, (2, 3, 2), target_shape=(4, 3)),
        row(L.Permute, (2, 3, 4), dims=(3, 1, 2)),
        row(L.RepeatVector, (3,), n=2),
        row(L.ZeroPadding1D, (4, 2), padding=(1, 2)),
        row(L.ZeroPadding2D, (3, 4, 2), padding=((1, 0), (2, 1))),
        row(L.ZeroPadding2D, (3, 4, 2), padding=1, data_format="channels_first"),
        row(L.ZeroPadding3D, (2, 3, 2, 2), padding=1),
        row(L.Cropping1D, (5, 2), cropping=(1, 2)),
        row(L.Cropping2D, (5, 4, 2), cropping=((1, 0), (1, 1))),
        row(L.Cropping3D, (3, 4, 3, 2), cropping=1),
        row(L.UpSampling1D, (3, 2), size=2),
        row(L.UpSampling2D, (3, 4, 2), size=(2, 3)),
        row(L.UpSampling2D, (3, 4, 2), size=(2, 3), interpolation="bilinear"),
        row(L.UpSampling2D, (3, 4, 2), size=2, interpolation="bicubic"),
        row(L.UpSampling3D, (2, 3, 2, 2), size=2),
        row(L.Identity, (3,)),
    ],
    "merge": [
        Row("Add", "", (3, 4), lambda x: L.Add()([x, L.Dense(4)(x), x])),
        Row(
            "Add", "inputs that broadcast", (3, 4), lambda x: L.Add()([x, L.Cropping1D((1, 1))(x)])
        ),
        Row("Subtract", "", (3, 4), lambda x: L.Subtract()([x, L.Dense(4)(x)])),
        Row("Average", "", (3, 4), lambda x: L.Average()([x, L.Dense(4)(x)])),
        Row("Concatenate", "", (3, 4), lambda x: L.Concatenate()([x, L.Dense(2)(x)])),
        Row(
            "Concatenate",
            "axis=1",
            (3, 4),
            lambda x: L.Concatenate(axis=1)([x, L.ZeroPadding1D(1)(x), x]),
        ),
        Row(
            "Multiply",
            "by a constant",
            (4,),
            lambda x: L.Multiply()([x, np.array([[1, 2, 3, 4.0]])]),
        ),
        Row(
            "operators",
            "`2 * x + 1`, `-x / 4`, `1 - x`",
            (4,),
            lambda x: 2 * x + 1 - -x / 4 + (1 - x),
        ),
    ],
    "constants": [
        row(L.Rescaling, (3, 4), scale=0.5, offset=-1.0),
        Row("Rescaling", "scale=[...]", (3, 2), lambda x: L.Rescaling([0.5, 2.0], [0.0, 1.0])(x)),
        row(L.Normalization, (3, 2), mean=[0.5, -1.0], variance=[2.0, 3.0]),
        row(L.Normalization, (3, 2), axis=None, mean=0.5, variance=2.0, invert=True),
        Row(
            "BatchNormalization",
            "trainable=False",
            (3, 4),
            lambda x: L.Dense(2)(_frozen(L.BatchNormalization())(x)),
        ),
    ],
    "inference only": [
        row(L.LayerNormalization, (5,)),
        row(L.LayerNormalization, (3, 4), axis=[1, 2], center=False),
        row(L.LayerNormalization, (3, 4), trains=False, options=INFERENCE, scale=False),
        row(L.BatchNormalization, (3, 4), trains=False, options=INFERENCE),
        row(L.BatchNormalization, (3, 4, 2), False, None, INFERENCE, axis=1, scale=False),
        row(L.BatchNormalization, (5,), False, None, INFERENCE, center=False),
        row(L.Dropout, (4,), trains=False, options=INFERENCE, rate=0.5),
        row(L.SpatialDropout1D, (4, 3), trains=False, options=INFERENCE, rate=0.5),
        row(L.SpatialDropout2D, (4, 3, 2), trains=False, options=INFERENCE, rate=0.5),
        row(L.AlphaDropout, (4,), trains=False, options=INFERENCE, rate=0.5),
        row(L.GaussianDropout, (4,), trains=False, options=INFERENCE, rate=0.5),
        row(L.GaussianNoise, (4,), trains=False, options=INFERENCE, stddev=0.5),
        row(L.ActivityRegularization, (4,), trains=False, options=INFERENCE, l2=0.5),
    ],
    "time": [
        row(L.TimeDistributed, (3, 4), layer=L.Dense(2, activation="relu"), text="Dense(2)"),
        row(L.TimeDistributed, (3, 4, 2), layer=L.Flatten(), text="Flatten()"),
        row(L.TimeDistributed, (2, 4, 4), layer=L.AveragePooling1D(2), text="AveragePooling1D(2)"),
    ],
    "time, with copies": [
        row(L.TimeDistributed, (2, 5, 2), False, "Conv1D(3, 2)", COPIES, layer=L.Conv1D(3, 2)),
    ],
    "steps of the network": [
        row(L.SimpleRNN, (6, 3), True, None, TEMPORAL, units=4, return_sequences=True),
        row(L.SimpleRNN, (6, 3), True, None, TEMPORAL, units=4),
        row(
            L.SimpleRNN,
            (6, 3),
            True,
            None,
            TEMPORAL,
            units=4,
            activation="relu",
            recurrent_regularizer=L2,
        ),
        row(L.TimeDistributed, (6, 5, 2), True, "Conv1D(3, 2)", TEMPORAL, layer=L.Conv1D(3, 2)),
        row(L.Dense, (6, 3), True, "along the last axis", TEMPORAL, units=4, activation="relu"),
        Row("Concatenate", "", (6, 3), lambda x: L.Concatenate()([x, 2 * x]), True, TEMPORAL),
    ],
}

#: layers with channels_first, which Keras computes on TensorFlow's CPUs only in part
CHANNELS_FIRST = [
    row(L.Conv1D, (2, 7), filters=3, kernel_size=3, strides=2, padding="same", **FIRST),
    row(L.Conv2D, (2, 5, 6), filters=3, kernel_size=3, activation="relu", **FIRST),
    row(L.Conv2D, (2, 5, 6), filters=3, kernel_size=2, dilation_rate=2, **FIRST),
    row(L.Conv2D, (4, 5, 6), filters=6, kernel_size=2, groups=2, **FIRST),
    row(L.Conv3D, (2, 4, 5, 3), filters=3, kernel_size=2, **FIRST),
    row(L.DepthwiseConv2D, (2, 5, 6), kernel_size=2, depth_multiplier=2, **FIRST),
    row(L.SeparableConv2D, (2, 5, 6), filters=3, kernel_size=2, **FIRST),
    row(L.Conv2DTranspose, (2, 3, 4), filters=3, kernel_size=3, strides=2, **FIRST),
    row(L.AveragePooling2D, (2, 5, 6), pool_size=2, padding="same", **FIRST),
    row(L.AveragePooling2D, (2, 4, 6), pool_size=2, **FIRST),
    row(L.GlobalAveragePooling2D, (2, 5, 6), **FIRST),
    row(L.UpSampling2D, (2, 3, 4), interpolation="bilinear", **FIRST),
]


def groups() -> dict[str, list[Row]]:
    """The rows of each family that need the same arguments of the converter, as one model's
    branches.
    """
    result: dict[str, list[Row]] = {}
    for family, rows in FAMILIES.items():
        for item in rows:
            condition = ", ".join(item.options)
            name = f"{family} ({condition})" if condition else family
            result.setdefault(name, []).append(item)
    return result


def build(rows: list[Row], reference: bool = False, alone: bool = False) -> keras.Model:
    """A model with a branch for each row, and random weights.

    Where a row has no weights there is a dense layer before it, so that training has something to
    change, through the layer; unless it is to be ``alone``.
    """
    inputs, outputs = [], []
    for item in rows:
        x = keras.Input(item.shape)
        make = item.reference if reference and item.reference is not None else item.make
        inputs.append(x)
        if item.trains and not alone and not keras.Model(x, make(x)).trainable_weights:
            x = L.Dense(item.shape[-1])(x)
        outputs.append(make(x))
    model = keras.Model(inputs, outputs)
    randomize(model)
    return model


def randomize(model: keras.Model) -> None:
    """Give a model random weights; variances are positive."""
    rng = np.random.RandomState(0)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.name else -1
        variable.assign(rng.uniform(low, 1, size=variable.shape))


# -- documentation ---------------------------------------------------------------------------------


def markdown() -> str:
    """The table of the documentation."""
    lines = ["| layer | arguments | needs | trains |", "| --- | --- | --- | --- |"]
    for rows in [*FAMILIES.values(), CHANNELS_FIRST]:
        for item in rows:
            needs = ", ".join(f"`{name}`" for name in item.options)
            if item.reference is not None:
                needs += " (becomes an average)"
            text = item.text if "`" in item.text or not item.text else f"`{item.text}`"
            lines.append(f"| {item.layer} | {text} | {needs} | {'yes' if item.trains else ''} |")
    return "\n".join(lines)


def documented() -> str:
    """The table that the documentation has."""
    text = DOCUMENT.read_text()
    return text.split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    """Write the table into the documentation."""
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{after}")


if __name__ == "__main__":
    main()
