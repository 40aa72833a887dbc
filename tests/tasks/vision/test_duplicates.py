"""Copies of files are found by their content."""

from __future__ import annotations

from pathlib import Path

from tunewell.tasks.vision.duplicates import groups_of_copies


def test_copies_share_a_group(tmp_path: Path) -> None:
    """Files of the same content have the number of the first of them; empty files are no copies."""
    contents = ["one", "two", "one", "three", "", "", "owt", "two"]
    paths = [tmp_path / str(index) for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    long = [b"a" * 5000 + bytes([end]) for end in (1, 2, 1)]
    for content in long:
        paths.append(tmp_path / str(len(paths)))
        paths[-1].write_bytes(content)
    paths.append(tmp_path / "gone")
    assert groups_of_copies(paths).tolist() == [0, 1, 0, 3, 4, 5, 6, 1, 8, 9, 8, 11]
