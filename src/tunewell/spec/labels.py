"""What people say of an experiment: project, tags and description. A search does the same whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import category

from tunewell.spec.errors import count, shown

#: Characters of a description, of the name of a project, of a tag; tags of an experiment.
LONGEST_DESCRIPTION, LONGEST_PROJECT, LONGEST_TAG, MOST_TAGS = 10_000, 100, 50, 20

#: Fields of a spec; what is recorded where one says nothing.
LABELS: Mapping[str, Any] = {"project": "", "tags": (), "description": ""}


def labels_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels that a spec gives an experiment, as they are recorded."""
    return {field: spec.get(field) or nothing for field, nothing in LABELS.items()}


def project_name(value: Any) -> str:
    """Return the name of a project without the space around it; raises `ValueError` with problem and remedy."""
    return _text(value, LONGEST_PROJECT)


def description_text(value: Any) -> str:
    """Return a description without the space around it; raises `ValueError` with problem and remedy."""
    lines = value.replace("\r\n", "\n") if isinstance(value, str) else value  # browsers send lines so
    return _text(lines, LONGEST_DESCRIPTION, spaces="\n\t")


def tag_names(value: Any) -> tuple[str, ...]:
    """Return tags, each once; a text is a single one. Raises `ValueError` with problem and remedy."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Sequence):
        raise ValueError(f"{shown(value)} is no list of texts", "Write it like [baseline, small]")
    tags = tuple(dict.fromkeys(_text(tag, LONGEST_TAG, of="tag") for tag in given))
    if len(tags) > MOST_TAGS:
        raise ValueError(f"{count(len(tags), 'tag')} are too many", f"Give {MOST_TAGS} at most")
    for tag in tags:
        if not tag:
            raise ValueError("a tag is empty", "Drop it")
        if "," in tag:
            raise ValueError(f"the tag {shown(tag)} has a comma", "Give several tags, each as a text of its own")
    return tags


def _text(value: Any, longest: int, spaces: str = "", of: str = "") -> str:
    """Return a text that can be recorded and shown anywhere; of control characters it may have `spaces`."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text", "Write a text; numbers and dates need quotes")
    text, named = value.strip(), f"the {of} {shown(value)}" if of else ""
    if len(text) > longest:
        raise ValueError(f"{named or 'it'} has {len(text)} characters", f"Give {longest} at most")
    if any(category(character) == "Cc" and character not in spaces for character in text):
        raise ValueError(f"{named or shown(value)} has a control character", "Remove it")
    return text
