"""``python -m nengo_dl`` is the command line, where scripts are not on the path."""

from nengo_dl.optional import installed


def main() -> None:
    """Run ``nengo-dl``, or say what it needs."""
    try:
        with installed("cli"):
            import click  # noqa: F401
    except ImportError as error:
        raise SystemExit(f"Error: {error}") from None
    from nengo_dl import cli

    cli.main(prog_name="nengo-dl")


if __name__ == "__main__":
    main()
