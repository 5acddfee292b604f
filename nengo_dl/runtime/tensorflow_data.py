"""A ``tf.data.Dataset`` of a user, with the names and types of a Keras model. The one module that
needs TensorFlow
whatever the backend: for data that is TensorFlow's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from nengo_dl.runtime.feeds import N_STEPS, as_list, split_steps, unpacked

if TYPE_CHECKING:
    from nengo_dl.runtime.training_data import Start, TrainingData


def named(dataset: Any, data: TrainingData, start: Start) -> Any:
    """The dataset with inputs for all Nodes, targets and weights by name.

    Its first batch is looked at to know what the others are like.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the first batch does not fit the network, or there is none.
    """
    import tensorflow as tf

    first = next(iter(dataset.take(1).as_numpy_iterator()), None)
    if first is None:
        raise ValidationError("the tf.data.Dataset has no batches", attr="x")
    expected = data.batch(first, start)
    given, _ = split_steps(unpacked(first)[0], None)
    given = {data.node_names[node] for node in data.given_nodes(given)}
    own = expected[0].keys() - given
    if start.stateful and own - {N_STEPS}:
        raise ValidationError(
            "with stateful=True a tf.data.Dataset has to give data for every Node; there is none "
            "for "
            f"{', '.join(sorted(own))}",
            attr="x",
        )

    def like(value, array):
        return tf.ensure_shape(tf.cast(value, array.dtype), array.shape)

    def weight(value, array):
        value = tf.cast(value, array.dtype)
        value = value if value.shape.rank == 2 else tf.reshape(value, (-1, 1))
        return tf.ensure_shape(value, array.shape)

    @tf.autograph.experimental.do_not_convert
    def convert(*batch):
        batch = batch[0] if len(batch) == 1 else batch
        x, y, weights = unpacked(batch)
        if isinstance(x, dict):
            x = {name: value for name, value in x.items() if name != N_STEPS}
        nodes = {data.node_names[n]: v for n, v in data.given_nodes(x).items()}
        targets = data.targets.by_probe(y, "y")
        result = (
            {
                name: like(nodes[name], array) if name in nodes else tf.constant(array)
                for name, array in expected[0].items()
            },
            {
                name: tf.ensure_shape(targets[name], array.shape)
                for name, array in expected[1].items()
            },
        )
        if weights is None:
            return result
        if not isinstance(weights, dict) and len(as_list(weights)) == 1:
            weights = dict.fromkeys(expected[2], as_list(weights)[0])
        by_name = data.targets.by_probe(weights, "sample_weight")
        return *result, {
            name: weight(by_name[name], array) if name in by_name else tf.ones_like(array)
            for name, array in expected[2].items()
        }

    return dataset.map(convert)
