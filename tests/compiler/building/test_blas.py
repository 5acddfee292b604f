"""The number of threads of the matrix library is set for a while."""

import pytest

from nengo_dl.compiler.building import blas


def numbers():
    return [get() for get, _ in blas._libraries()]


@pytest.mark.core
def test_one_thread_meanwhile():
    before = numbers()
    with blas.one_thread():
        assert set(numbers()) <= {1}
        with blas.one_thread():
            pass
        assert set(numbers()) <= {1}
    assert numbers() == before
    assert blas.n_cores() >= 1
