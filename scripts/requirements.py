"""Print what the installed nengo-dl requires, with another distribution of TensorFlow in its place.

usage: python scripts/requirements.py TENSORFLOW [EXTRA]...
"""

import importlib.metadata
import re
import sys

tensorflow, *extras = sys.argv[1:]
for line in importlib.metadata.requires("nengo-dl"):
    requirement, _, marker = line.partition(";")
    extra = re.search(r"extra == ['\"](.+?)['\"]", marker)
    if extra is None or extra[1] in extras:
        print(re.sub(r"^tensorflow(?![\w-])", tensorflow, requirement.strip()))
