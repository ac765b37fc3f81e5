"""``HOST:DIR`` as people type it, and what is no such place."""

from __future__ import annotations

import pytest

from otwrap.remote import Place


@pytest.mark.parametrize(
    ("text", "host", "directory", "user"),
    [
        ("cluster:runs/beam", "cluster", "runs/beam", None),
        ("me@cluster.example.org:/scratch/me/beam/", "cluster.example.org", "/scratch/me/beam", "me"),
        ("cluster:~", "cluster", ".", None),
        ("cluster:~/runs", "cluster", "runs", None),
        ("cluster:~//runs/", "cluster", "runs", None),
        ("cluster:.", "cluster", ".", None),
        ("cluster:../shared/./x", "cluster", "../shared/x", None),
        ("cluster://scratch", "cluster", "/scratch", None),
        ("cluster:with space/été:2", "cluster", "with space/été:2", None),
        ("10.0.0.1:x", "10.0.0.1", "x", None),
        ("[::1]:x", "::1", "x", None),
        ("me@[fe80::1%eth0]:/x", "fe80::1%eth0", "/x", "me"),
        ("me@c:x", "c", "x", "me"),
    ],
)
def test_places_are_read(text: str, host: str, directory: str, user: str | None) -> None:
    """Host, user and directory are told apart; a relative directory is relative to the home folder there."""
    assert Place.parse(text) == (host, directory, user)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("runs/beam", "names no host"),
        ("./cluster:runs", "names no host"),
        ("/tmp/a:b", "names no host"),
        ("", "names no host"),
        (":runs", "names no host"),
        ("@cluster:runs", "names no host"),
        ("C:\\runs", "drive of Windows"),
        ("C:/runs", "drive of Windows"),
        ("c:runs", "drive of Windows"),
        ("cluster:", "names no directory"),
        ("cluster::module", "brackets"),
        ("fe80::1:runs", "brackets"),
        ("cluster:~other/runs", "home of another user"),
        ("cluster:a\nb", "control characters"),
        ("-oProxyCommand=touch x:y", "names no host"),
        ("-oProxyCommand=x:y", "dash"),
        ("-l@cluster:y", "dash"),
        ("[-x]:y", "dash"),
    ],
)
def test_what_is_no_place(text: str, says: str) -> None:
    """A path of this machine, a drive, or what ssh would take for an option is refused, and it is said why."""
    with pytest.raises(ValueError, match=says):
        Place.parse(text)


@pytest.mark.parametrize("text", ["cluster:runs", "me@cluster:/scratch", "me@[::1]:x", "cluster:."])
def test_a_place_is_written_as_it_is_read(text: str) -> None:
    """The text of a place names the same place."""
    assert str(Place.parse(text)) == text


@pytest.mark.parametrize("host", ["", "a b", "me@", "-x", "a/b"])
def test_what_is_no_host(host: str) -> None:
    """What cannot be a host is refused before ssh sees it."""
    with pytest.raises(ValueError, match="host"):
        Place.of(host, "runs")


def test_login_of_an_address() -> None:
    """ssh takes an IPv6 address without brackets."""
    assert Place.of("me@[::1]", "x").login == "me@::1"
