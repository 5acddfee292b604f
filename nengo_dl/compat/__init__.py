"""Names and calls of earlier versions of NengoDL, each with a warning that says what to write now.

Nothing else of nengo_dl depends on what is in this folder, but for the decorators and base classes
by which older calls reach the classes that have them now: it can be taken away with these.

``modules`` holds modules that earlier versions had; they are imported as ``nengo_dl.builder`` and
so on (see ``nengo_dl.__path__``).
"""
