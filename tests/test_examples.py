"""The examples run in their short form, and the kept notebooks are runs of the present sources."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
SOURCES = sorted(path.stem for path in FOLDER.glob("*.py"))
#: those of which a full run is kept
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
# figure of the notebook's result, and the bound that NengoDL 3 set; None where it had no figure
RESULTS = {
    "from_nengo": (r"error with spikes: .* (\S+) after", -0.0031),
    "from_tensorflow": (r"in Nengo: (\S+),", -943),
    "keras_to_snn": (r"accuracy with spikes: ([\d.]+)%", 98.25),
    "lmu": (r"accuracy in Nengo: ([\d.]+)%", 96.15),
    "spa_memory": (r"retrieval accuracy: .* (\S+) after", 0.75),
    "spa_retrieval": (r"retrieval accuracy: .* (\S+) after", 0.86),
    "spiking_mnist": (r"accuracy with spikes: ([\d.]+)%", 98.74),
    "tensor_models": (r"right sums with spikes: ([\d.]+)%", None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_short_form_runs(name, tmp_path):
    environment = {
        **os.environ,
        "NENGO_DL_EXAMPLES": "short",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parents[1]), *sys.path]),
    }
    run = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    result(name, run.stdout)
    assert "documentation of NengoDL 3:" in run.stdout
    assert re.search(r"run on \d{4}-\d\d-\d\d in .* minutes on .* with \d+ cores", run.stdout)


def test_every_example_has_a_result():
    assert set(SOURCES) == set(RESULTS)
    assert set(NAMES) <= set(SOURCES)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_a_run_of_the_source(name):
    cells = notebook(name)["cells"]
    source = source_cells((FOLDER / f"{name}.py").read_text())
    assert [cell["cell_type"] for cell in cells] == [kind for kind, _ in source]
    for cell, (kind, text) in zip(cells, source, strict=True):
        kept = "".join(cell["source"])
        if kind == "code":
            assert ast.dump(ast.parse(kept)) == ast.dump(ast.parse(text))
            assert cell["execution_count"] is not None
            assert not any(output["output_type"] == "error" for output in cell["outputs"])
        else:
            assert kept == text


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_examples_has_its_picture_and_time(name):
    row = rf"^\| \[!\[.*\]\((.*)\)\]\({name}\.ipynb\).* (\S+) min \|"
    ((picture, minutes),) = re.findall(row, (FOLDER / "index.md").read_text(), re.MULTILINE)
    assert (FOLDER / picture).is_file()
    outputs = [o for cell in notebook(name)["cells"] for o in cell.get("outputs", ())]
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert f" in {minutes} minutes on " in printed


@pytest.mark.parametrize("name", NAMES)
def test_notebook_has_its_pictures(name):
    source = (FOLDER / f"{name}.py").read_text()
    outputs = [o for cell in notebook(name)["cells"] for o in cell.get("outputs", ())]
    pictures = [o for o in outputs if "image/png" in o.get("data", ())]
    assert len(pictures) == len(re.findall(r"^plt\.show\(\)", source, re.MULTILINE)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_notebook_has_the_result_and_the_index_states_it(name):
    printed = "".join(
        "".join(output["text"])
        for cell in notebook(name)["cells"]
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    )
    assert "run on" in printed
    figure = result(name, printed)
    bound = RESULTS[name][1]
    if bound is not None:  # an error where it is negative
        assert float(figure) >= bound if bound > 0 else float(figure) <= -bound
    (row,) = re.findall(rf"^\|.*\({name}\.ipynb\).*$", index(), re.MULTILINE)
    assert figure in row


def test_notebooks_are_small():
    assert max(path.stat().st_size for path in FOLDER.glob("*.ipynb")) < 400_000


def test_index_has_every_notebook_in_its_toctree():
    (tree,) = re.findall(r"```\{toctree\}\n(.*?)```", index(), re.DOTALL)
    assert set(tree.split("\n\n")[-1].split()) == set(NAMES)


def result(name, printed):
    """The figure that an example printed last."""
    return re.findall(RESULTS[name][0], printed)[-1]


def index():
    return (FOLDER / "index.md").read_text()


def notebook(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text())


def source_cells(text):
    """Kind and text of the cells of a file in percent format."""
    _, *parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    cells = []
    for header, body in zip(parts[::2], parts[1::2], strict=True):
        body = body.strip("\n")
        if "[markdown]" in header:
            body = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
            cells.append(("markdown", body))
        else:
            cells.append(("code", body))
    return cells
