"""Python's garbage collection waits, and goes on."""

import gc

import nengo
import pytest

import nengo_dl
from nengo_dl.process_settings import collected_later
from nengo_dl.runtime import build


@pytest.mark.parametrize("before", [True, False])
def test_as_it_was_before(before, monkeypatch):
    meanwhile = []

    def observed(*args, **kwargs):
        meanwhile.append(gc.isenabled())
        raise ArithmeticError("no")

    monkeypatch.setattr(build, "build_model", observed)
    try:
        (gc.enable if before else gc.disable)()
        with pytest.raises(ArithmeticError), nengo.Network() as net:
            nengo_dl.Simulator(net)
        assert gc.isenabled() == before
        assert meanwhile == [False]
    finally:
        gc.enable()


def test_nothing_is_moved():
    """What is old or frozen is looked through rarely or never: it would not be freed."""
    before = gc.get_freeze_count()  # Python 3.12 freezes some itself
    with collected_later():
        made = [[]]
    assert any(obj is made for obj in gc.get_objects(generation=0))
    assert gc.get_freeze_count() == before
