"""What of the results an address chooses: trial, split, cell of the confusion matrix, threshold, order of classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

#: Columns that the figures by class can be sorted by; with a hyphen in front: the largest first.
COLUMNS = ("name", "ap", "precision", "recall", "f1", "support")
_CELL = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an address chooses; None: nothing of that. Whatever makes no sense in it counts as not chosen."""

    trial: int | None = None
    split: str | None = None
    #: Row and column of the confusion matrix.
    cell: tuple[int, int] | None = None
    threshold: float | None = None
    sort: str | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Chosen:
        """Read an address."""
        trial, split, sort = query.get("trial", ""), query.get("split", ""), query.get("sort", "")
        cell = _CELL.fullmatch(query.get("cell", ""))
        return cls(
            trial=int(trial) if re.fullmatch("[0-9]{1,9}", trial) else None,
            split=split if split in ("val", "test") else None,
            cell=(int(cell[1]), int(cell[2])) if cell is not None else None,
            threshold=_share(query.get("threshold", "")),
            sort=sort if sort.removeprefix("-") in COLUMNS else None,
        )

    @property
    def fields(self) -> dict[str, str]:
        """What is chosen, as an address has it."""
        return {
            name: value
            for name, value in {
                "trial": str(self.trial or ""),
                "split": self.split or "",
                "cell": f"{self.cell[0]}-{self.cell[1]}" if self.cell is not None else "",
                "threshold": f"{self.threshold:g}" if self.threshold is not None else "",
                "sort": self.sort or "",
            }.items()
            if value
        }

    def link(self, place: str = "evaluation", **changes: object) -> str:
        """Return the address with other choices (empty: none), at a place of the page."""
        fields = {**self.fields, **{name: str(value) for name, value in changes.items()}}
        return f"?{urlencode({name: value for name, value in fields.items() if value})}#{place}"


def _share(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None
