"""Users' programs under another user of the system."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import WAITING, serving, wait_until
from tunewell.schedulers.trial_user import find_trial_user
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError
from tunewell.spec.states import TrialState

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root becomes somebody else"),
]
USER = "nobody"

#: Does what a trial does, and tries what it must not.
PROGRAM = """
{ id -u; id -G; echo $HOME; echo ${SECRET_OF_ROOT-none}; grep NoNewPrivs /proc/self/status | cut -f2; } > "$1"/found
echo more > "$TUNEWELL_CHECKPOINT_DIR"/state
echo model > "$TUNEWELL_OUTPUT_DIR"/model
cat "$TUNEWELL_PARAMETERS" > /dev/null && echo reads >> "$1"/found
cat "$TUNEWELL_TRIAL_FOLDER"/../../../../../tunewell.db > /dev/null 2>&1 && echo reads the database >> "$1"/found
ls "$TUNEWELL_TRIAL_FOLDER"/../../../../.. > /dev/null 2>&1 && echo lists the home >> "$1"/found
rm -f "$TUNEWELL_TRIAL_FOLDER"/launch.json 2> /dev/null && echo removes >> "$1"/found
echo '{"metrics": {"accuracy": 0.5}, "time": 0}' >> "$TUNEWELL_TRIAL_FOLDER"/reports.jsonl
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can reach."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_a_program_runs_as_the_user_and_gets_at_nothing_else(folder: Path) -> None:
    """A trial has its own folder and its results count; database, home and what the service wrote are out of reach."""
    work, who = folder / "work", pwd.getpwnam(USER)
    work.mkdir()
    work.chmod(0o777)
    (work / "program.sh").write_text(PROGRAM)
    (work / "program.sh").chmod(0o644)
    spec = {**WAITING, "name": "e", "command": ["sh", "program.sh", str(work)], "working_directory": str(work)}
    home = folder / "home"
    with serving(home, "--trial-user", USER, environment={"SECRET_OF_ROOT": "canary"}), Service(home) as service:
        service.create(spec)
        wait_until(lambda: service.store.experiment("e").state.final)
        (trial,) = service.store.trials("e")
        assert (trial.state, trial.value) == (TrialState.SUCCEEDED, 0.5), trial
    found = (work / "found").read_text().splitlines()
    assert found == [str(who.pw_uid), str(who.pw_gid), who.pw_dir, "none", "1", "reads"]
    attempt = home / "experiments/e/trials/1/1"
    assert (attempt / "artifacts/model").stat().st_uid == who.pw_uid
    assert (attempt / "exit.json").stat().st_uid == 0


def test_users_that_trials_can_not_run_as(folder: Path) -> None:
    """Root is refused, and a home that the user could never reach."""
    with pytest.raises(ArgumentError, match="is root"):
        find_trial_user("root", folder / "home")
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(ArgumentError, match="can't reach the home"):
        find_trial_user(USER, folder / "closed" / "home")
