"""Convolutions inside of JAX's loops are in the form that XLA has a library for."""

import re

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("about JAX", allow_module_level=True)

import jax
import jax.numpy as jnp
from jax import lax

import nengo_dl.runtime.backends.jax  # noqa: F401  (tells JAX how to lower them)

pytestmark = pytest.mark.core


def forms(function, *arguments):
    """The orders of dimensions of all convolutions that XLA is given."""
    text = jax.jit(function).lower(*arguments).as_text()
    return set(re.findall(r"dim_numbers = (\S+)", text.replace(", ", "")))


def numbers(*shape):
    return jnp.asarray(np.random.RandomState(0).uniform(-1, 1, size=shape).astype("float32"))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
def test_form_of_gradients_inside_of_a_loop(n, last, transposed):
    image = (*[7] * n, 2) if last else (2, *[7] * n)
    x, w = numbers(3, *image), numbers(*[3] * n, 2, 2)
    convolve = keras.ops.conv_transpose if transposed else keras.ops.conv
    order = "channels_last" if last else "channels_first"

    def loss(w, x):
        return jnp.sum(convolve(x, w, strides=2, data_format=order) ** 2)

    def descend(w, x):
        def step(loop):
            i, w, x = loop
            d_w, d_x = jax.grad(loss, argnums=(0, 1))(w, x)
            return i + 1, w - 0.001 * d_w, x - 0.001 * d_x

        return lax.while_loop(lambda loop: loop[0] < 2, step, (0, w, x))[1:]

    spatial = "012"[:n]
    assert forms(descend, w, x) == {f"[b{spatial}f]x[{spatial}io]->[b{spatial}f]window"}


@pytest.mark.parametrize("groups", [{}, {"feature_group_count": 2}, {"batch_group_count": 2}])
def test_values(groups):
    """A convolution in another form is that of the transposed tensors."""
    many, few = groups.get("batch_group_count", 1), groups.get("feature_group_count", 1)
    x, w = numbers(4, 6, 7, 2), numbers(3, 2, 2 // few, 4)
    form = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    settings = dict(window_strides=(1, 2), padding=((0, 1), (2, 0)), lhs_dilation=(2, 1), **groups)
    expected = lax.conv_general_dilated(x, w, dimension_numbers=form, **settings)
    assert expected.shape[0] == 4 // many
    other = lax.ConvDimensionNumbers((3, 0, 2, 1), (1, 0, 3, 2), (2, 1, 0, 3))
    x, w = jnp.transpose(x, (3, 2, 1, 0)), jnp.transpose(w, (2, 3, 1, 0))
    settings["dimension_numbers"] = other
    y = jax.jit(lambda x, w: lax.conv_general_dilated(x, w, **settings))(x, w)
    np.testing.assert_allclose(jnp.transpose(y, (2, 0, 3, 1)), expected, atol=1e-5)
