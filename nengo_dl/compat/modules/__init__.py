"""Modules of earlier versions, imported as if they were directly in ``nengo_dl``."""
