"""The code in ``docs/converter.md`` runs."""

import re
from pathlib import Path

import pytest

from nengo_dl.converter import base

DOCUMENT = Path(__file__).parents[2] / "docs" / "converter.md"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_code_of_the_document_runs(monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 4
    exec("\n".join(blocks), {})
