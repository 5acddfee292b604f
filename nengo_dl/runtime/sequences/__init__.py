"""Sequences of steps, differentiable in reverse, and the Keras model of them."""
