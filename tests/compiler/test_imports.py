"""The compiler knows nengo and numpy only."""

import subprocess
import sys
from pathlib import Path

import nengo_dl

SCRIPT = """
import importlib, pkgutil, sys, types
package = types.ModuleType("nengo_dl")  # without its __init__, which imports the whole of it
package.__path__ = [{path!r}]
sys.modules["nengo_dl"] = package
compiler = importlib.import_module("nengo_dl.compiler")
names = [module.name for module in pkgutil.iter_modules(compiler.__path__)]
for name in names:
    importlib.import_module("nengo_dl.compiler." + name)
assert len(names) > 8, names
bad = {{"keras", "tensorflow", "jax"}} & set(sys.modules)
bad |= {{m for m in sys.modules if m.startswith(("nengo_dl.lowering", "nengo_dl.runtime"))}}
assert not bad, bad
"""


def test_compiler_imports_no_backend():
    path = str(Path(nengo_dl.__file__).parent)
    subprocess.run([sys.executable, "-c", SCRIPT.format(path=path)], check=True)
