"""What a user may have: of the machines at once, of the disk, and of computing time in a calendar month (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunewell.spec.format import duration, number, size
from tunewell.spec.problems import Problems
from tunewell.spec.quantities import Number, Size, WholeNumber
from tunewell.spec.validation import gather_errors

#: What counts to `disk_bytes`, for people.
STORED = "experiments with their trials, data sets, published models, uploads and code, all of them in the bin, too"

#: What a quota limits → what people call it, in the order of tables.
WORDS = {
    "cpu_hours": "core time",
    "gpu_hours": "GPU time",
    "disk_bytes": "disk now",
    "running": "running now",
    "cpus": "cores now",
    "gpus": "GPUs now",
}

_Count = Annotated[WholeNumber, Field(ge=0)]
_Amount = Annotated[Number, Field(ge=0)]


class Quota(BaseModel):
    """The limits of one user; None: there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    running: _Count | None = Field(default=None, description="Trials and jobs that run at once.")
    cpus: _Amount | None = Field(default=None, description="Cores in use at once.")
    gpus: _Count | None = Field(default=None, description="GPUs in use at once.")
    disk_bytes: Size | None = Field(
        default=None,
        description=f"What {STORED}, take up on the disk: bytes, or a size such as 20G.",
    )
    cpu_hours: _Amount | None = Field(default=None, description="Cores × hours in a calendar month (UTC).")
    gpu_hours: _Amount | None = Field(default=None, description="GPUs × hours in a calendar month (UTC).")

    def to_json(self) -> dict[str, Any]:
        """Return the limits that there are, as they are put on record."""
        return self.model_dump(mode="json", exclude_none=True)


def amount(name: str, value: float) -> str:
    """Return a limit of a quota, or what is used of one, with its unit: `2`, `1.5 GiB`, `40 h`."""
    if name == "disk_bytes":
        return size(int(value))
    return f"{value:g} h" if name.endswith("_hours") else f"{value:g}"


def used_amount(name: str, value: float) -> str:
    """Return what was used of something: `2`, `1.5 GiB`, `36 s`, `2.5 h`."""
    if not name.endswith("_hours"):
        return amount(name, round(value, 2))
    if value == 0:
        return "0"
    return duration(3600 * value) if value < 1 else f"{number(value, 3)} h"


class _Limited(BaseModel):
    """What has a quota, so that errors name its fields in full."""

    quota: Quota


def parse_quota(data: Any) -> Quota:
    """Return the validated quota; a limit that is null counts as left out.

    Raises:
        SpecError: a limit is wrong; the error names it (`quota.gpus`), its value and the remedy.
        SpecErrors: several are.
    """
    try:
        return _Limited.model_validate({"quota": data}).quota
    except ValidationError as error:
        problems = Problems()
        gather_errors(error, _Limited, problems)
        problems.raise_any("The quota")
        raise AssertionError("something is wrong") from None


def month_of(seconds: float) -> str:
    """Return the calendar month (UTC) of a moment in seconds since the epoch: `2026-03`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")
