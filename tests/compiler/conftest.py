import nengo
import pytest


@pytest.fixture(autouse=True, scope="session")
def no_decoder_cache():
    """Processes that test side by side would wait for each other's lock on its files."""
    before = nengo.rc.get("decoder_cache", "enabled")
    nengo.rc.set("decoder_cache", "enabled", "False")
    yield
    nengo.rc.set("decoder_cache", "enabled", before)
