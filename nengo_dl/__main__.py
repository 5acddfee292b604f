"""``python -m nengo_dl`` is the command line, where scripts are not on the path."""

from nengo_dl.cli import main

if __name__ == "__main__":
    main(prog_name="nengo-dl")
