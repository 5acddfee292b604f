"""A network as a file that other programs run: TensorFlow's SavedModel, or ONNX."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence

import keras
from nengo.exceptions import ValidationError

from nengo_dl.optional import installed
from nengo_dl.runtime.checks import checked_path
from nengo_dl.runtime.sequences.keras_model import NengoModel

#: name for users -> name in Keras
FORMATS = {"saved_model": "tf_saved_model", "onnx": "onnx"}


def export(
    model: NengoModel,
    path: str | os.PathLike,
    n_steps: int,
    names: Sequence[str],
    format: str,
    in_python: Sequence[str] = (),
) -> None:
    """Write a model that takes sequences of ``n_steps`` steps and starts in its present state.

    Parameters
    ----------
    names
        The inputs that the file takes; the other ones have to be constant.
    format
        "saved_model" or "onnx".
    in_python
        What runs as Python code in each step, in words.

    Raises
    ------
    nengo.exceptions.ValidationError
        For what a file cannot hold.
    ImportError
        Where a package that writes the file is not installed.
    """
    path = checked_path("path", path)
    if not isinstance(format, str) or format not in FORMATS:
        raise ValidationError(f"expected one of {', '.join(FORMATS)}, got {format!r}", "format")
    _check(model, names, in_python)
    dtype = model.compute_dtype
    if format == "onnx" and dtype != "float32":
        raise ValidationError(
            f"the simulator's dtype is {dtype}, but ONNX files that Keras writes are float32; use "
            "configure_settings(dtype='float32')",
            attr="format",
        )
    signature = {
        name: keras.InputSpec(
            shape=(model.minibatch_size, n_steps, model.network_inputs[name].size),
            dtype=dtype,
            name=name,
        )
        for name in names
    }
    on_jax = keras.backend.backend() == "jax"
    if format == "onnx" and on_jax:
        with installed("onnx"):
            from nengo_dl.runtime.backends.jax_onnx import write_onnx
        write_onnx(model, str(path), signature)
        return
    with installed("onnx" if format == "onnx" else "tensorflow"):
        # Keras's own error is of another class for each
        importlib.import_module("tf2onnx" if format == "onnx" else "tensorflow")
    model.export(str(path), format=FORMATS[format], verbose=False, input_signature=[signature])


def _check(model: NengoModel, names: Sequence[str], in_python: Sequence[str]) -> None:
    """Refuse what is computed by Python code."""
    if not names:
        raise ValidationError(
            "the network has no Node whose values the file could take; a Node without input is "
            "needed",
            attr="network",
        )
    for name, item in model.network_inputs.items():
        if name not in names and item.operator is not None:
            what = "a process or function" if item.node is not None else "noise"
            raise ValidationError(
                f"{name!r} is {what}, whose values Python computes, so it cannot be exported"
                + ("; make it one of the inputs" if item.node is not None else ""),
                attr="inputs",
            )
    if in_python:
        raise ValidationError(
            f"{in_python[0]} runs Python code in each step, which cannot be exported",
            attr="network",
        )
