"""A ``tf.data.Dataset`` of a user, with the names and types of a Keras model. The one module that
needs TensorFlow whatever the backend: for data that is TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from nengo_dl.runtime.inputs.feeds import as_list, split_steps, unpacked
from nengo_dl.runtime.inputs.names import N_STEPS
from nengo_dl.runtime.training.targets import Arrays

if TYPE_CHECKING:
    from nengo_dl.runtime.training.data import Start, TrainingData


def named(
    dataset: Any, data: TrainingData, start: Start, argument: str
) -> tuple[Any, Callable[[], int]]:
    """The dataset with inputs for all Nodes, targets and weights by name; and what gives the number
    of steps of its first batch.

    Its first batch is looked at to know what the others are like.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the first batch does not fit the network, or there is none.
    """
    import tensorflow as tf

    first = next(iter(dataset.take(1).as_numpy_iterator()), None)
    if first is None:
        raise ValidationError("the tf.data.Dataset has no batches", attr=argument)
    examples = data.batch(first, start)
    expected = examples.as_tuple()
    given, _ = split_steps(unpacked(first)[0], None)
    given = {data.node_names[node] for node in data.given_nodes(given)}
    own = expected[0].keys() - given
    if start.stateful and own - {N_STEPS}:
        raise ValidationError(
            "with stateful=True a tf.data.Dataset has to give data for every Node; there is none "
            f"for {', '.join(sorted(own))}",
            attr="x",
        )

    @tf.autograph.experimental.do_not_convert
    def convert(*batch):
        batch = batch[0] if len(batch) == 1 else batch
        x, y, weights = unpacked(batch)
        x, _ = split_steps(x)
        nodes = {data.node_names[n]: v for n, v in data.given_nodes(x).items()}
        targets = {} if y is None else data.targets.by_probe(y, "y")
        n_items = tf.shape(next(iter([*nodes.values(), *targets.values()])))[0]
        if start.stateful:
            message = "with stateful=True every batch has to have minibatch_size items"
            tf.debugging.assert_equal(n_items, data.minibatch_size, message)
        typed = {name: tf.cast(v, expected[0][name].dtype) for name, v in nodes.items()}
        result = (_filled(typed, expected[0], n_items), _filled(targets, expected[1], n_items))
        if weights is None:
            return result
        if not isinstance(weights, dict) and len(as_list(weights)) == 1:
            weights = dict.fromkeys(expected[2], as_list(weights)[0])
        by_name = data.targets.by_probe(weights, "sample_weight")
        return *result, _filled_weights(by_name, expected[2], n_items)

    return dataset.map(convert), examples.count_steps


def _filled(given: Mapping[str, Any], like: Arrays, n_items: Any) -> dict[str, Any]:
    """Tensors of the shapes of arrays, with the rows of the arrays where nothing is given."""
    import tensorflow as tf

    return {
        name: tf.ensure_shape(given[name], (None, *array.shape[1:]))
        if name in given
        else tf.constant(array)[:n_items]
        for name, array in like.items()
    }


def _filled_weights(given: Mapping[str, Any], like: Arrays, n_items: Any) -> dict[str, Any]:
    """Weights of items, (n_items, 1) or (n_items, n_steps), of one where none are given."""
    import tensorflow as tf

    def shaped(value, array):
        value = value if value.shape.rank == 2 else tf.reshape(value, (-1, 1))
        return tf.ensure_shape(tf.cast(value, array.dtype), (None, *array.shape[1:]))

    return {
        name: shaped(given[name], array) if name in given else tf.ones((n_items, 1))
        for name, array in like.items()
    }
