"""Which tests of the verbs are for one implementation only."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, over HTTP, what only holds on the machine itself (`in_process`), and the second kind of database.

    Without HTTP that kind is left out where it makes no difference (`one_database`).
    """
    kept, left_out = [], []
    for item in items:
        (kept if _is_wanted(item) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _is_wanted(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "over HTTP" not in (params.get("bench"), params.get("verbs"), params.get("each")):
        return params.get("new_database") != "postgresql" or item.get_closest_marker("one_database") is None
    return params.get("new_database") != "postgresql" and item.get_closest_marker("in_process") is None
