"""Running users' own programs as another user of the system than the service, which must be root for that.

The trial gets what it needs of the home, and nothing more: it may pass through the folders on the way to its own, read
its parameters, and write its reports, artifacts and checkpoint. In its folder it may add files, but neither change nor
replace those of the service, as in /tmp. What it leaves there is still read by the service.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewell.schedulers import processes
from tunewell.spec.errors import ArgumentError
from tunewell.trial import files

#: What of the service's environment a program of somebody else's has.
_KEPT = ("LANG", "LANGUAGE", "PATH", "TZ", "TERM")
_KEPT_BEGINNINGS = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "TUNEWELL_", "PYTHON")


@dataclass(frozen=True, slots=True)
class TrialUser:
    """Whom trials run as, and below which folder of the service their own lie."""

    name: str
    uid: int
    gid: int
    #: The home folder of that user.
    home: str
    base: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types, which make it again as keywords."""
        return asdict(self)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return what of an environment is this user's, too, and what differs."""
        kept = {name: value for name, value in given.items() if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)}
        return {**kept, "HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": "/bin/sh"}

    def prepare(self) -> None:
        """Close the top of the service's home to the user, apart from the way to the folders of trials."""
        for path in Path(self.base).iterdir():
            if not path.is_symlink():
                # Through folders go trials that live on from the last time.
                path.chmod(stat.S_IMODE(path.stat().st_mode) & (0o710 if path.is_dir() else 0o700))

    def hand_over(self, folder: Path) -> None:
        """Give the user what is a trial's in the folder of its attempt, and the way to it."""
        for on_the_way in (*reversed(folder.relative_to(self.base).parents), folder.relative_to(self.base)):
            self._open(Path(self.base, on_the_way), 0o010)
        folder.chmod(0o1777)  # nobody else gets here
        with suppress(FileNotFoundError):  # a job has none
            self._open(folder / files.PARAMETERS, 0o040)
        for part in (files.ARTIFACTS, files.CHECKPOINT):
            self._give(folder / part)
        descriptor = os.open(folder / files.REPORTS, os.O_CREAT | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
        os.fchown(descriptor, self.uid, self.gid)
        os.close(descriptor)

    def _open(self, path: Path, mode: int) -> None:
        os.chown(path, -1, self.gid, follow_symlinks=False)
        path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)

    def _give(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for parent, folders, names in os.walk(folder):
            for name in (".", *folders, *names):
                with suppress(FileNotFoundError):
                    os.chown(Path(parent, name), self.uid, self.gid, follow_symlinks=False)

    def become(self, supervisor: int) -> None:
        """Have this process be the user's for good, without any other group, and end with its supervisor all the same.

        The supervisor's process number is needed because the kernel forgets that wish with a change of user.
        """
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        os.umask(0o022)
        processes.renounce_privileges()
        processes.die_with_parent(supervisor)


def find_trial_user(name: str, base: Path) -> TrialUser:
    """Return a user of the system for the trials of a home; raise `ArgumentError` if that can't be."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise ArgumentError("trial_user", f"this system has no user '{name}'", "Make one: useradd", name) from None
    if os.geteuid() != 0:
        problem = "a service that does not run as root can't run trials as somebody else"
        raise ArgumentError("trial_user", problem, "Leave it out, or start the service as root", name)
    if found.pw_uid == 0:
        raise ArgumentError("trial_user", f"'{name}' is root", "Name a user without rights", name)
    blocked = next((folder for folder in base.parents if not _lets_pass(folder)), None)
    if blocked is not None:
        problem = f"'{name}' can't reach the home {base}: {blocked} is closed to it"
        raise ArgumentError("trial_user", problem, "Put the home elsewhere, as in /var/lib/tunewell", name)
    return TrialUser(name, found.pw_uid, found.pw_gid, found.pw_dir, str(base))


def _lets_pass(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)
