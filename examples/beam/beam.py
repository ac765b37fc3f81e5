"""A stand-in for ``beam.c``, for machines without a C compiler: same files, same digits, same exit codes."""

import re
import sys

BAD_ARGUMENTS, NO_INPUT, BAD_NUMBER, NO_OUTPUT = 2, 3, 4, 5


def stop(exit_code, message):
    """End with a message on the error stream."""
    print(message, file=sys.stderr)
    sys.exit(exit_code)


def attribute(text, name):
    """Return the number in ``name="number"``."""
    found = re.search(rf'[ \t\r\n]{name}="([^"]*)', text)
    if found is None:
        stop(BAD_NUMBER, f"beam: {name} is missing")
    number = found[1]
    try:
        # float alone would accept underscores, nan and inf.
        if not re.fullmatch(r"[0-9+\-.eE]+", number) or abs(float(number)) == float("inf"):
            raise ValueError(number)
        return float(number)
    except ValueError:
        stop(BAD_NUMBER, f"beam: {name} is not a number: {number}")


def main(argv):
    """Read the beam, write its deviation."""
    if len(argv) != 3 or argv[1] != "-x":
        stop(BAD_ARGUMENTS, "usage: beam -x beam.xml")
    try:
        with open(argv[2], encoding="latin-1") as file:
            text = file.read()
    except OSError:
        stop(NO_INPUT, f"beam: cannot read {argv[2]}")
    beam = re.search(r"<beam(.*?)/>", text, re.DOTALL)
    if beam is None:
        stop(BAD_NUMBER, f"beam: no <beam .../> in {argv[2]}")
    F, E, L, I = (attribute(beam[1], name) for name in "FELI")  # noqa: E741
    if E <= 0.0 or I <= 0.0 or 3.0 * E * I == 0.0:
        stop(BAD_NUMBER, f"beam: E and I must be positive, not {E:g} and {I:g}")
    try:
        with open("_beam_outputs_.xml", "w", encoding="ascii") as file:
            file.write(
                f'<?xml version="1.0"?>\n<outputs deviation="{F * L * L * L / (3.0 * E * I):.17g}"/>\n'
            )
    except OSError:
        stop(NO_OUTPUT, "beam: cannot write _beam_outputs_.xml")


if __name__ == "__main__":
    main(sys.argv)
