"""What a recipe means, the plain way: in numpy, element by element."""

import numpy as np

from nengo_dl.compiler.operand import Concat, Gather, RowSum, SegmentSum, Slice, Sum, Zeros


def evaluate(recipe, tensors):
    """The value of a recipe, of shape (batch, width), the plain way."""
    if isinstance(recipe, Slice):
        tensor = tensors[recipe.tensor]
        assert 0 <= recipe.start <= recipe.stop <= tensor.shape[1]
        assert recipe.whole == (recipe.width == tensor.shape[1])
        return tensor[:, recipe.start : recipe.stop]
    if isinstance(recipe, Zeros):
        return np.zeros((1, recipe.width))
    if isinstance(recipe, Concat):
        return side_by_side(recipe.parts, tensors)
    if isinstance(recipe, Gather):
        return side_by_side(recipe.sources, tensors)[:, recipe.indices]
    if isinstance(recipe, Sum):
        return sum(evaluate(term, tensors) for term in recipe.terms)
    if isinstance(recipe, RowSum):
        source = evaluate(recipe.source, tensors)
        return source.reshape(len(source), recipe.rows, -1).sum(axis=1)
    assert isinstance(recipe, SegmentSum)
    assert np.all(np.diff(recipe.segments) >= 0)
    source = evaluate(recipe.source, tensors)
    result = np.zeros((len(source), recipe.width))
    for column, segment in enumerate(recipe.segments):
        result[:, segment] += source[:, column]
    return result


def side_by_side(parts, tensors):
    parts = [evaluate(part, tensors) for part in parts]
    batch = max(len(part) for part in parts)
    return np.concatenate([np.broadcast_to(p, (batch, p.shape[1])) for p in parts], axis=1)
