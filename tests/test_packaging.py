"""The installed distribution."""

import importlib.metadata

import nengo_dl

DISTRIBUTION = "nengo-dl"


def test_version_is_the_distributions():
    assert nengo_dl.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_nengo_finds_the_backend():
    (backend,) = importlib.metadata.entry_points(group="nengo.backends", name="dl")
    assert backend.load() is nengo_dl.Simulator


def test_console_script():
    from nengo_dl.cli import main

    (script,) = importlib.metadata.entry_points(group="console_scripts", name=DISTRIBUTION)
    assert script.load() is main


def test_everything_public_exists():
    for name in nengo_dl.__all__:
        assert hasattr(nengo_dl, name)
