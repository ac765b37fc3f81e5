"""The numbers of a file as a table, in which lines of one kind are shown once."""

from __future__ import annotations

from collections.abc import Iterable

from .texts import Number, Text

__all__ = ["listing", "row_of"]

_AROUND = 32
_ALIKE = 5
_ROWS = 200


def listing(text: Text, first: int = 1) -> list[str]:
    """Return the numbers of a file as lines to print.

    Lines that differ in nothing but their numbers, more than five in a row, are shown by the first of them.

    Parameters
    ----------
    text : Text
        The file.
    first : int, optional
        The index of its first number. Default is 1.

    Returns
    -------
    lines : list of str
        The file, then index, line and column, and the number between ``>`` and ``<``.

    Examples
    --------
    >>> print(*listing(Text("beam.inp", b"*ELASTIC\\n210000, .3\\n")), sep="\\n")
    beam.inp: 2 numbers in 2 lines
       1    2:1    >210000<, .3
       2    2:9    210000, >.3<
    """
    if not text.encoding:
        return [f"{text.name}: binary, {len(text.data)} bytes"]
    lines = [f"{text.name}: {_count(len(text), 'number')} in {_count(text.n_lines, 'line')}"]
    for numbers, alike in _groups(text):
        if len(lines) > _ROWS:
            number = text.number(numbers.start)
            left = _count(len(text) - numbers.start, "more number")
            lines.append(f'      ... {left} from line {number.line}: `line 55` or "a text" shows those there')
            break
        lines += [row_of(text, text.number(i), first + i) for i in numbers]
        if alike:
            start, end = alike[0].start, alike[-1].stop
            lines.append(
                f"      ... {len(alike)} more lines like this one, to line {text.number(start).line + len(alike) - 1}"
                f" ({_count(end - start, 'number')}: {first + start} to {first + end - 1})"
            )
    return lines


def row_of(text: Text, number: Number, index: int) -> str:
    """Return a number, with its index, line and column, and the text around.

    Parameters
    ----------
    text : Text
        The file.
    number : Number
        One of its numbers.
    index : int
        What it is called.

    Returns
    -------
    row : str
    """
    line = text.line(number.line)
    start, end = number.column - 1, number.column - 1 + len(number.text)
    before, after = line[:start].lstrip(), line[end:].rstrip()
    before = before if len(before) <= _AROUND else f"...{before[3 - _AROUND :]}"
    after = after if len(after) <= _AROUND else f"{after[: _AROUND - 3]}..."
    shown = f"{before}>{number.text}<{after}".replace("\t", " ")
    printable = "".join(sign if sign.isprintable() else "?" for sign in shown)
    return f"{index:4}  {f'{number.line}:{number.column}':>5}    {printable}"


def _groups(text: Text) -> Iterable[tuple[range, list[range]]]:
    """Yield the numbers of a line, and those of the lines like it that follow."""
    waiting: list[range] = []
    before: tuple[int, tuple[str, ...]] | None = None
    i = 0
    while i < len(text):
        line = text.number(i).line
        numbers = text.span(line)
        shape = (line, text.around(line))
        if before is None or before[0] + 1 != line or before[1] != shape[1]:
            yield from _collapsed(waiting)
            waiting = []
        waiting.append(numbers)
        before, i = shape, numbers.stop
    yield from _collapsed(waiting)


def _collapsed(lines: list[range]) -> Iterable[tuple[range, list[range]]]:
    if len(lines) > _ALIKE:
        yield lines[0], lines[1:]
    else:
        yield from ((line, []) for line in lines)


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
