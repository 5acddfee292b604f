"""Convolution over time by FFT, which computes all steps of a linear filter at once."""

from __future__ import annotations

from typing import Any

from keras import ops


def fft_length(n_steps: int) -> int:
    """A length at which the circular convolution of sequences does not wrap around, a power of
    two.
    """
    return 1 << max(1, (2 * n_steps - 1).bit_length())


def spectrum(x: Any, length: int) -> tuple[Any, Any]:
    """Real and imaginary part of the Fourier transform along the last axis."""
    return ops.rfft(x, fft_length=length)


def causal_convolution(x: Any, kernel: Any) -> Any:
    """``y[..., t] = sum_k kernel[..., k] x[..., t - k]`` along the last axis.

    Parameters
    ----------
    x, kernel
        Tensors whose last axes have the same length and whose other axes broadcast.
    """
    n_steps = x.shape[-1]
    length = fft_length(n_steps)
    a, b = spectrum(x, length)
    c, d = spectrum(kernel, length)
    product = a * c - b * d, a * d + b * c
    return ops.irfft(product, fft_length=length)[..., :n_steps]


def filtered(x: Any, kernel: Any) -> Any:
    """Each unit of (batch, steps, units) convolved with its kernel, (steps, units)."""
    y = causal_convolution(ops.transpose(x, (0, 2, 1)), ops.transpose(kernel)[None])
    return ops.transpose(y, (0, 2, 1))


def last_filtered(x: Any, kernel: Any) -> Any:
    """The last step of `filtered`, (batch, units)."""
    return ops.sum(x * ops.flip(kernel, axis=0)[None], axis=1)


def explicit_convolution(x: Any, response: Any) -> Any:
    """Each signal of (batch, steps, signals) convolved with all responses, without a transform.

    Parameters
    ----------
    x
        (batch, steps, signals)
    response
        (order, length)

    Returns
    -------
    (batch, steps, signals, order)
    """
    steps, signals = x.shape[1:]
    order, length = response.shape
    series = ops.reshape(ops.transpose(x, (0, 2, 1)), (-1, steps, 1))
    series = ops.pad(series, ((0, 0), (length - 1, 0), (0, 0)))
    kernel = ops.transpose(ops.flip(response, axis=1))[:, None]
    found = ops.conv(series, kernel, padding="valid", data_format="channels_last")
    return ops.transpose(ops.reshape(found, (-1, signals, steps, order)), (0, 2, 1, 3))
