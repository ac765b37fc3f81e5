"""A folder of templates becomes the work directory: tokens replaced, all the rest as it was."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.errors import InputError
from otwrap.template import Jinja, Template, Tree, bind_all

BINARY = bytes(range(256)) + b"@X@"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Return a folder with what input folders have."""
    folder = tmp_path / "case.tmpl"
    (folder / "system").mkdir(parents=True)
    (folder / "0").mkdir()
    (folder / "system" / "control").write_bytes(b"dt @DT@;\r\nx @X@;\n")
    (folder / "readme").write_bytes("sp\u00e9cial, no token\n".encode("latin-1"))
    (folder / "mesh.bin").write_bytes(BINARY)
    (folder / "solve.sh").write_text("#!/bin/sh\ncat system/control > out.txt\n")
    (folder / "solve.sh").chmod(0o755)
    (folder / "control").symlink_to("system/control")
    return folder


def write(templates: object, folder: Path, x: tuple[float, ...] = (0.5, 3.0)) -> Path:
    """Write the input of a point as a wrapper does, twice."""
    bound = bind_all(templates, ["DT", "X"], ["@DT@", "@X@"])  # type: ignore[arg-type]
    for _ in range(2):
        for name, template in pickle.loads(pickle.dumps(bound)).items():
            template.write(x, str(folder / name))
    return folder


def told(call: object, *texts: str) -> None:
    """Check the text of the InputError of a call."""
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    for text in texts:
        assert text in str(caught.value)


def test_tokens_are_replaced_and_the_rest_is_kept(case: Path, tmp_path: Path) -> None:
    """Line ends, bytes of other encodings and binary files with the bytes of a token stay."""
    out = write(case, tmp_path / "run")
    assert (out / "system" / "control").read_bytes() == b"dt 0.5;\r\nx 3.0;\n"
    for name in ("readme", "mesh.bin", "solve.sh"):
        assert (out / name).read_bytes() == (case / name).read_bytes()
    assert sorted(p.relative_to(out) for p in out.rglob("*")) == sorted(
        p.relative_to(case) for p in case.rglob("*")
    )


def test_folders_bits_and_links_are_kept(case: Path, tmp_path: Path) -> None:
    """An empty folder is made, a script stays executable, and a link leads to the rendered file."""
    out = write(case, tmp_path / "run")
    assert list((out / "0").iterdir()) == []
    assert stat.S_IMODE((out / "solve.sh").stat().st_mode) == 0o755
    assert os.readlink(out / "control") == "system/control"
    assert "dt 0.5" in (out / "control").read_text()


def test_read_only_sources_can_be_written_again(case: Path, tmp_path: Path) -> None:
    """A case in a read-only folder is no read-only work directory."""
    (case / "mesh.bin").chmod(0o444)
    (case / "0").chmod(0o555)
    out = write(case, tmp_path / "run")
    assert (out / "mesh.bin").stat().st_mode & stat.S_IWUSR
    assert (out / "0").stat().st_mode & stat.S_IWUSR


def test_link_out_of_the_tree(case: Path, tmp_path: Path) -> None:
    """A link to a large file elsewhere leads there from any work directory, be the tree itself linked."""
    (tmp_path / "big").write_text("mesh")
    (case / "big").symlink_to("../big")
    elsewhere = tmp_path / "a" / "b" / "linked"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.symlink_to(case)
    assert (write(elsewhere, tmp_path / "run") / "big").read_text() == "mesh"


def test_absolute_link_into_the_tree(case: Path, tmp_path: Path) -> None:
    """A link into the tree by its full name leads to the rendered file, not to the template."""
    (case / "0" / "absolute").symlink_to(case / "system" / "control")
    assert "dt 0.5" in (write(case, tmp_path / "run") / "0" / "absolute").read_text()


def test_what_is_linked_is_never_written(case: Path, tmp_path: Path) -> None:
    """A token behind a link is not replaced there: the user's file stays."""
    (tmp_path / "mine").write_text("@X@")
    (case / "mine").symlink_to(tmp_path / "mine")
    write(case, tmp_path / "run")
    assert (tmp_path / "mine").read_text() == "@X@"


def test_wrapper_takes_a_folder(case: Path) -> None:
    """One thing is written, and the code runs in a folder like the template's."""
    model = otw.Wrapper(
        inputs=["DT", "X"],
        outputs=["dt", "x"],
        templates=Tree(case, ["@DT@", "@X@"], formats={"X": "d"}, mark=r"@\w+@"),
        command=["./solve.sh"],
        parsers=[otw.parsers.Value("out.txt", "dt"), otw.parsers.Regex("out.txt", r"x (\d+);")],
    )
    assert model.evaluate([0.25, 7.0]).output == (0.25, 7.0)
    assert "not a whole number" in model.evaluate([0.25, 7.5]).error


def test_below_a_folder_and_beside_others(case: Path, tmp_path: Path) -> None:
    """Trees and single templates go together; an empty folder of one is filled by another."""
    jinja = tmp_path / "T.j2"
    jinja.write_text("{{ X * 2 }}")
    out = write({"c": Tree(case), "c/0/T": Jinja(jinja), "d": case}, tmp_path / "run")
    assert (out / "c" / "0" / "T").read_text() == "6.0"
    assert (out / "d" / "system" / "control").exists()
    told(lambda: bind_all({".": case, "readme": Jinja(jinja)}, ["X"], ["@X@"]), "same file to write")
    told(lambda: bind_all({"..": case}, ["X"], ["@X@"]), "inside it")


def test_ignore(case: Path) -> None:
    """What an old run left is not taken along; patterns are of names or of paths, one or several."""
    (case / "postProcessing").mkdir()
    (case / "log.old").write_text("")
    assert "postProcessing" in Tree(case).sources
    kept = Tree(case, ignore=["log.*", "system/c*", "postProcessing"]).sources
    assert sorted(kept) == ["0", "control", "mesh.bin", "readme", "solve.sh", "system"]
    assert "log.old" not in Tree(case, ignore="log.*").sources


def test_tokens_and_constants_appear_somewhere(case: Path) -> None:
    """One in no file of the tree is an error, and the nearest is named with its file."""
    Tree(case, {"@DT@": "a", "@X@": "b"})
    told(lambda: Tree(case, ["@DTT@"]), "'@DTT@' in no file of", str(case), "'@DT@' in line 1 of", "control")
    told(lambda: Tree(case, constants={"@Y@": 1}), "constant '@Y@' in no file")
    told(lambda: bind_all(case, ["DT", "Y"], ["@DT@", "@Y@"]), "'Y' (token '@Y@')", f"looked in {case}.")
    told(lambda: bind_all(Tree(case), ["DT", "X"], {"@DT@": "DT", "@Y@": "X"}), "'@Y@'")


def test_constants_of_several_files(case: Path, tmp_path: Path) -> None:
    """A constant is replaced wherever it stands."""
    (case / "a").write_text("@N@")
    (case / "b").write_text("@N@ @X@")
    out = write(Tree(case, constants={"@N@": 8}), tmp_path / "run")
    assert [(out / name).read_text() for name in "ab"] == ["8", "8 3.0"]


def test_mark_left_over(case: Path) -> None:
    """A token in a file that has no other is found by its mark, in any encoding."""
    (case / "readme").write_bytes("sp\u00e9cial @ALPHA@".encode("latin-1"))
    told(
        lambda: bind_all(Tree(case, mark=r"@\w+@"), ["DT", "X"], ["@DT@", "@X@"]),
        "left over",
        "readme",
        "'@ALPHA@'",
    )


def test_utf16(tmp_path: Path) -> None:
    """The text files of a tree may be UTF-16."""
    folder = tmp_path / "wide"
    folder.mkdir()
    (folder / "a").write_bytes("x @DT@ @X@".encode("utf-16"))
    out = write(Tree(folder, encoding="utf-16"), tmp_path / "run")
    assert (out / "a").read_bytes().decode("utf-16") == "x 0.5 3.0"


def test_what_is_no_tree_is_told(case: Path, tmp_path: Path) -> None:
    """A file, nothing, an empty folder, a pipe, a wrong encoding: each with what to do."""
    told(lambda: Tree(tmp_path / "none"), "there is no folder of templates")
    told(lambda: bind_all(case / "readme", ["X"]), "no folder but a file", "{'input file': '")
    (tmp_path / "empty").mkdir()
    told(lambda: Tree(tmp_path / "empty"), "is empty")
    told(lambda: Tree(case, encoding="utf-88"), "utf-88")
    os.mkfifo(case / "pipe")
    told(lambda: Tree(case), "pipe", "ignore=")


def test_fingerprint_covers_all(case: Path, tmp_path: Path) -> None:
    """Any content, name or goal of a link makes another model; the place of the tree does not."""
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "mesh").write_text("1")
    (case / "big").symlink_to(tmp_path / "big")

    def prints(folder: Path) -> str:
        bound = bind_all(Tree(folder), ["DT", "X"], ["@DT@", "@X@"])
        return repr({name: file.fingerprint() for name, file in bound.items()})

    seen = [prints(case)]
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(case, moved, symlinks=True)
    assert prints(moved) == seen[0]
    changes = [
        lambda: (case / "mesh.bin").write_bytes(BINARY + b"1"),
        lambda: (case / "readme").write_text("other"),
        lambda: (case / "0").rename(case / "1"),
        lambda: (tmp_path / "big" / "mesh").write_text("2"),
        lambda: ((case / "control").unlink(), (case / "control").symlink_to("readme")),
    ]
    for change in changes:
        change()
        seen.append(prints(case))
    assert len(set(seen)) == len(changes) + 1


def test_template_alone_still_needs_all(case: Path) -> None:
    """A single template still has to have each token of its own."""
    told(lambda: Template(case / "solve.sh", ["@X@"]), "not in")


def test_write_that_fails_is_told(case: Path, tmp_path: Path) -> None:
    """A folder or a link that cannot be made is an InputError that says which."""
    bound = bind_all(Tree(case), ["DT", "X"], ["@DT@", "@X@"])
    (tmp_path / "file").write_text("")
    for name in ("0", "control"):
        told(lambda name=name: bound[name].write((1, 2), str(tmp_path / "file" / "x")), "cannot be made")
    told(lambda: bound["mesh.bin"].render([1.0]), "1 values for 2 inputs")
