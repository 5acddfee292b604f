"""Python's garbage collection waits, and goes on."""

import gc
import sys
import weakref

import nengo
import pytest

import nengo_dl
from nengo_dl import process_settings, tuning
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


def test_little_stays_young():
    """What is old or frozen is looked through rarely or never: it would not be freed."""
    before = gc.get_freeze_count()  # Python 3.12 freezes some itself
    with collected_later():
        made = [[]]
    assert any(obj is made for obj in gc.get_objects(generation=0))
    assert gc.get_freeze_count() == before


class Node:
    """Refers to itself."""

    def __init__(self):
        self.self = self


def test_much_is_old_and_not_frozen():
    with collected_later():
        made = [[] for _ in range(2 * tuning.OLD_OBJECTS)]
        gone = weakref.ref(Node())
    assert gc.isenabled() and gc.get_freeze_count() == 0
    if sys.version_info < (3, 14):  # later versions have two generations
        assert not any(obj is made for obj in gc.get_objects(generation=0))
        assert any(obj is made for obj in gc.get_objects(generation=2))
    gc.collect()
    assert gone() is None


def test_what_others_froze_stays_frozen():
    gc.freeze()
    try:
        with collected_later():
            _ = [[] for _ in range(2 * tuning.OLD_OBJECTS)]
        assert gc.get_freeze_count() > process_settings.FROZEN_BY_PYTHON
    finally:
        gc.unfreeze()
