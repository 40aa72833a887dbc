"""What is told of a project or a tag that no experiment has."""

from __future__ import annotations

from collections.abc import Sequence

from tunewell.service.paging import every
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ended, nearest, shown


def unknown_labels(service: Verbs, project: str | None, tags: Sequence[str], in_bin: bool) -> list[str]:
    """Return a line for each project or tag that no experiment has, with the one that was meant, or all."""
    if project is None and not tags:
        return []
    listed = list(every(lambda at: service.experiments(deleted=in_bin, cursor=at)))
    projects = {one.project for one in listed if one.project}
    known = {tag for one in listed for tag in one.tags}
    asked = [("project", project, projects)] if project else []
    asked += [("tag", tag, known) for tag in tags]
    return [
        f"No experiment has the {kind} {shown(name)}. {ended(nearest(name, there) or f'None has any {kind}')}"
        for kind, name, there in asked
        if name not in there
    ]
