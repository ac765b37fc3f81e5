"""What identifies a model."""

from otwrap.fingerprints import files_fingerprint, fingerprint


def test_order_of_a_mapping_does_not_count():
    """The same settings in another order are the same model."""
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_content_counts_and_place_does_not(tmp_path):
    """A mesh with another number is another model; the same mesh in another folder is not."""
    for name, text in (("one", "1.0"), ("two", "1.0"), ("three", "1.1")):
        (tmp_path / name / "mesh").mkdir(parents=True)
        (tmp_path / name / "mesh" / "nodes").write_text(text)
    one, two, three = (files_fingerprint([str(tmp_path / name / "mesh")]) for name in ("one", "two", "three"))
    assert one == two != three
