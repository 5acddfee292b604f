"""One peer in a process of its own: ``python worker.py JOB``, where JOB is a JSON object.

The interpreter may have other versions of everything, older ones too: what is loaded here imports
nothing of the package around it. Lines on standard input are commands, lines on standard output are
JSON objects:

* first, when what is measured has been prepared, ``{"facts": {...}, "peak_mb": m}``;
* ``run N``: the same and ``"seconds"``, the time of a run of N units (steps, updates), and
  ``"user_seconds"``, that of all cores together; the largest resident set is that until then;
* the end of the input ends the process.

In place of each may come ``{"missing": "..."}``, where a library is not installed, or ``{"error":
"..."}``, and the process ends.
"""

import importlib
import json
import os
import resource
import sys
import time
import traceback
import types
import warnings

PACKAGE = "nengo_dl_benchmarks"


def load(name):
    """A module of the folder of benchmarks, in a package that is nothing but this folder."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules[PACKAGE] = package
    return importlib.import_module(PACKAGE + "." + name)


def prepare(job):
    """``(run, facts)`` of a job, whose function of a module makes them of its arguments."""
    if job.get("cores"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["cores"]])
    return getattr(load(job["module"]), job["function"])(**job["arguments"])


def peak_mb():
    """Largest resident set of this process so far, in mebibytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0 if sys.platform == "darwin" else 1024.0)


def user_seconds():
    """Time that this process has computed so far, on all cores together."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def measure(job, commands, answer):
    """Prepare the job, then obey the commands."""
    run, facts = prepare(job)
    answer(facts=facts, peak_mb=peak_mb())
    for line in commands:
        n = int(line.split()[1])
        user, start = user_seconds(), time.perf_counter()
        run(n)
        seconds, user = time.perf_counter() - start, user_seconds() - user
        answer(seconds=seconds, user_seconds=user, peak_mb=peak_mb(), facts=facts)


def main(job):
    """Answer on standard output, which libraries print on, too."""
    answers = os.fdopen(os.dup(1), "w", 1)
    os.dup2(2, 1)

    def answer(**values):
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    warnings.simplefilter("ignore")
    try:
        measure(job, sys.stdin, answer)
    except ImportError as error:
        answer(missing=str(error))
    except Exception as error:
        traceback.print_exc()
        answer(error=type(error).__name__ + ": " + str(error))


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this script: its modules would hide others of the same names
    main(json.loads(sys.argv[1]))
