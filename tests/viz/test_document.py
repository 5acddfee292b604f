"""The code in ``docs/visualization.md`` runs."""

import re
from pathlib import Path

import pytest
from matplotlib import pyplot

DOCUMENT = Path(__file__).parents[2] / "docs" / "visualization.md"


def test_the_code_of_the_document_runs(monkeypatch, tmp_path):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    text = DOCUMENT.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec("\n".join(blocks), names)
    images = re.findall(r"\((images/viz-[^)]*)\)", text)
    assert len(pyplot.get_fignums()) == len(images) == 8
    assert all((DOCUMENT.parent / image).exists() for image in images)
    names["animation"].save("spikes.gif", writer="pillow", dpi=20)
    names["sim"].close()
