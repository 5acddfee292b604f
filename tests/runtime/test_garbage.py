"""Python's garbage collection waits, and goes on."""

import gc

import nengo
import pytest

import nengo_dl
from nengo_dl.runtime import build
from nengo_dl.runtime.garbage import collected_later


@pytest.mark.parametrize("before", [True, False])
def test_as_it_was_before(before, monkeypatch):
    meanwhile = []

    def observed(*args):
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


def test_what_was_made_is_old():
    with collected_later():
        made = [[]]
    assert any(obj is made for obj in gc.get_objects(generation=2))


def test_what_others_froze_stays_frozen():
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with collected_later():
            pass
        assert gc.get_freeze_count() == before > 0
    finally:
        gc.unfreeze()
