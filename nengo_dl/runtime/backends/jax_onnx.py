"""ONNX files of models on JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax2onnx


def write_onnx(model: Any, path: str, signature: Mapping[str, Any]) -> None:
    """Write a model of named inputs and outputs.

    Keras 3.15 calls the same package, but gives the outputs numbers for names.
    """
    names = list(signature)
    inputs = [jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in signature.values()]

    def function(*values):
        return model(dict(zip(names, values, strict=True)), training=False)

    outputs = sorted(jax.eval_shape(function, *inputs))
    jax2onnx.to_onnx(
        lambda *values: tuple(function(*values)[name] for name in outputs),
        inputs=inputs,
        input_names=names,
        output_names=outputs,
        return_mode="file",
        output_path=path,
    )
