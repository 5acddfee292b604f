"""The version of nengo_dl; the build takes it from here."""

__version__ = "4.0.0.dev0"
