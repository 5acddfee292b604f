"""The code in ``docs/tensor_nodes.md`` runs, and gives what the text says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tensor_nodes.md"


def test_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), found)
    assert found["out"].shape == (4, 5, 10)
    assert found["conv"].shape_out == (6, 6, 4)
    assert found["of_time"].shape_out == (2,)
    assert found["four"].size_out == 4 and found["one"].size_out == 1
    assert found["each_step"].shape_out == found["same"].shape_out == (8,)
    assert found["loaded"].layers[-1].network.all_ensembles[0].n_neurons == 20
