"""`python -m otwrap` is the command `otwrap`."""

from .cli import cli

if __name__ == "__main__":
    cli(prog_name="otwrap")
