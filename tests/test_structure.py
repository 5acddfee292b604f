"""The package can be read one module after the other, each on one screen or a few."""

import ast
import graphlib
from pathlib import Path

import nengo_dl

ROOT = Path(nengo_dl.__file__).parent


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def imports(tree):
    """Modules and names that are imported when a module is, or for its types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in SOURCES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield from imports(node)


def test_no_import_cycle():
    # the package itself imports what is public when it is asked for
    modules = SOURCES.keys() - {"nengo_dl"}
    graph = {name: (set(imports(SOURCES[name])) & modules) - {name} for name in modules}
    assert sum(map(len, graph.values())) > 900
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_files_are_short():
    lengths = {path.name: path.read_text().count("\n") for path in ROOT.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 350} == {}


def test_functions_are_short():
    """The bodies: some constructors have many arguments."""
    long = {}
    for module, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                n_lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if n_lines > 50:
                    long[f"{module}.{node.name}"] = n_lines
    assert long == {}
