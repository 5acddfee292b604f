"""Print the lowest version of each package that nengo_dl and its extras name in pyproject.toml, as
constraints of pip.

usage: python scripts/requirements.py > constraints.txt
"""

import re
import sys
from itertools import chain
from pathlib import Path

if sys.version_info < (3, 11):
    raise SystemExit("reading pyproject.toml needs Python 3.11")
import tomllib

text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text()
project = tomllib.loads(text)["project"]
extras = project["optional-dependencies"].values()
for requirement in sorted({*project["dependencies"], *chain.from_iterable(extras)}):
    print(re.sub(r"\[.*?\]|>=", lambda found: "==" if found[0] == ">=" else "", requirement))
