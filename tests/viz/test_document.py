"""The code in ``docs/visualization.md`` runs.

``python tests/viz/test_document.py`` draws the pictures of the page again.
"""

import os
import re
import tempfile
from pathlib import Path

import pytest
from matplotlib import pyplot

DOCUMENT = Path(__file__).parents[2] / "docs" / "visualization.md"


def run():
    """Run the page; returns the names that it leaves, and the files of its pictures."""
    text = DOCUMENT.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec("\n".join(blocks), names)
    images = [DOCUMENT.parent / name for name in re.findall(r"\((images/viz-[^)]*)\)", text)]
    assert len(pyplot.get_fignums()) == len(images) == 8
    return names, images


def test_the_code_of_the_document_runs(monkeypatch, tmp_path):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    names, images = run()
    assert all(image.exists() for image in images)
    names["animation"].save("spikes.gif", writer="pillow", dpi=20)
    names["sim"].close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        names, images = run()
        for number, image in zip(pyplot.get_fignums(), images, strict=True):
            pyplot.figure(number).savefig(image, dpi=200, transparent=True)
        names["sim"].close()
