"""What differs between the backends; each module has the same functions.

``name``
``precision(dtype)``
    Context manager in which tensors of this dtype can be made and compiled.
``placement(device)``
    Context manager that puts new tensors on a device, e.g. ``"/cpu:0"``; None leaves the choice to
    the backend.
``devices()``
    Names of the devices.
``tensor(array, dtype)``, ``array(tensor)``
    To the device and back.
``argument(array, dtype)``
    An array to call a compiled function with.
``host_call(function, tensors, shapes)``
    Calls numpy code from inside a compiled function.
``chunk_function(chunk, jit)``
    Compiles a `Chunk`.
``run_steps(chunk, invariant, state, rows, first_step, n_steps)``
    The loop of a `Chunk`, inside a compiled function.
``compiled(function, jit)``
    Compiles a function of a list of tensors.
``compiled_for(function, tensors, jit, key)``
    The same for tensors like these; functions of one key are compiled once.
``can_be_short(jit)``
    Whether short runs can have functions of their own.
``reads_variables``, ``version(variable)``, ``reference(variable)``, ``read(reference, variable)``
    Whether such functions read Keras variables themselves, by their references; else ``version`` is
    another object whenever a variable has another value, and ``trace(function, tensors)`` calls a
    function without computing anything.
``shared(size, dtype)``
    A vector in which a compiled function finds its input.
``compiles_host_calls``
    Whether what the backend compiles with XLA may call Python.
``may_compile(owner=None)``
    Whether XLA may compile one more function, which is gone when ``owner`` is: see
    `nengo_dl.runtime.backends.memory_maps`.
``scan(step, state, rows, n_steps, kept, shapes, dtype)``
    The loop of training: a fixed number of steps, differentiable.
``recomputing_scan(step, invariant, state, rows, n_steps, kept, shapes, dtype)``
    The same, of which the gradient takes less memory, and computes the steps twice.
``is_distributed()``
    Whether Keras spreads models over several devices.
``stacks_batches(model)``
    Whether batches that come from Keras are stacked into blocks.
``block_function(model, batch_step, next_blocks)``
    Keras's ``train_function`` or ``test_function`` for batches that come in blocks.
``output_shapes(function, shapes, dtype)``
    Shapes of a function's results, from those of its arguments.
``loses_seed_in_xla(function, shapes, dtype)``
    Whether a function draws random numbers that XLA would take the seed from.
``checkpoint(function)``
    Keeps nothing of a function for its gradient but the arguments.
``convolves_faster_in_graph()``
    Whether convolutions are trained faster without XLA.
``gradients(loss, variables)``
    Gradients of a function without arguments.
``variable_values(model)``, ``restore_variables(model, values)``
    The values of a Keras model's variables, where a compiled function that fails may take them with
    it.
``finish_batch(model)``
    Lets the variables of a Keras model in training have the values after the last batch.
``product_form(n, rows, columns, batch)``
    The fastest way to multiply small matrices.
``adds_slices(rows, width, batch)``
    Whether a sum of rows is faster as a chain of additions.
``split(vector, sizes)``
    Parts of a vector, in a function that is compiled.
``matmul(x, a)``
    The product of two matrices, in the order in which the backend is fastest.
"""

from __future__ import annotations

import importlib

import keras

from nengo_dl import keras_backend


def active():
    """The module of Keras's backend."""
    name = keras.backend.backend()
    if name not in keras_backend.SUPPORTED:
        raise ImportError(keras_backend.problem())
    return importlib.import_module(f"nengo_dl.runtime.backends.{name}")
