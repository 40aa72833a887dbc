"""What a caller may do, so that pages offer nothing that would be refused."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.service.types import Caller, Experiment


def may_change(caller: Caller, owner: str) -> bool:
    """Whether a caller commands what belongs to `owner`."""
    return caller.role == "administrator" or (caller.role == "user" and caller.name == owner)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a caller may do with the results of an experiment, and, where nothing, why not."""

    #: Have work done about it: evaluate, train.
    commands: bool
    #: Use its models.
    uses: bool
    reason: str = ""

    @classmethod
    def of(cls, caller: Caller, one: Experiment) -> Rights:
        """Return the rights of a caller."""
        if caller.role == "viewer":
            return cls(False, False, "You may look at things here, and change nothing.")
        if may_change(caller, one.owner):
            return cls(True, True)
        return cls(False, True, f"This search belongs to {one.owner}, who alone has it evaluated and trained.")
