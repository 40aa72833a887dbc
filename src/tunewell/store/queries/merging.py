"""Putting several ordered lists together to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, union_all


def first_of(parts: Sequence[Select[Any]], order: Sequence[str], descending: bool, limit: int | None) -> Select[Any]:
    """Select the first `limit` rows (None: all) of all `parts` in an order of columns that each of them selects.

    Each part is read through the index that has its order: all at once they would be a walk through all rows.
    """
    first = [_ordered(part, part.selected_columns, order, descending, limit) for part in parts]
    if len(first) == 1:
        return first[0]
    together = union_all(*(select(part.subquery()) for part in first)).subquery()
    return _ordered(select(together), together.c, order, descending, limit)


def _ordered(
    query: Select[Any], columns: Any, order: Sequence[str], descending: bool, limit: int | None
) -> Select[Any]:
    keys = [columns[name] for name in order]
    return query.order_by(*(key.desc() if descending else key for key in keys)).limit(limit)
