"""The trial's (or job's) side of the fork: from a copy of the supervisor to the user's program or function."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tunewell.schedulers import processes
from tunewell.schedulers.trial_user import TrialUser
from tunewell.spec.launch import JobKey, Launch, WorkKey, with_own_programs
from tunewell.trial import files
from tunewell.trial.trial import ASKED_TO_END, Pruned, raise_pruned

#: Exit code of a program that could not be started.
NOT_STARTED = 127
#: What an attempt's environment says of its key: those of a trial that runs a search of its own are not for its trials.
_KEY_NAMES = frozenset({"TUNEWELL_EXPERIMENT", "TUNEWELL_TRIAL", "TUNEWELL_JOB", "TUNEWELL_ATTEMPT"})
_THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the child is born into."""

    supervisor: int
    #: Environment of the controller, which the trial's is built upon.
    environment: Mapping[str, str]
    #: Descriptor of the pipe that it prints into.
    output: int
    #: Descriptor for the reason why the program can't be started. It closes when the program starts.
    problem: int
    #: Descriptors that are the supervisor's alone.
    private: tuple[int, ...]
    #: Whom users' programs run as; None: as the supervisor does.
    user: TrialUser | None = None


def trial_environment(launch: Launch, base: Mapping[str, str]) -> dict[str, str]:
    """Return a trial's or job's environment.

    The folder of `tunewell` itself ends the search path for programs. Thread counts follow the cores that the trial
    has, where neither the user's own environment nor the experiment's says otherwise. Waiting threads sleep: spinning
    ruins everything where cores are shared.
    """
    folder = launch.folder
    return {
        **dict.fromkeys(_THREAD_COUNTS, str(launch.resources.threads)),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        **{name: value for name, value in base.items() if name not in _KEY_NAMES},
        "PATH": with_own_programs(base.get("PATH", os.defpath)),
        "TUNEWELL_TRIAL_FOLDER": str(folder),
        "TUNEWELL_PARAMETERS": str(folder / files.PARAMETERS),
        **_names(launch.key),
        "TUNEWELL_OUTPUT_DIR": str(folder / files.ARTIFACTS),
        "TUNEWELL_CHECKPOINT_DIR": str(folder / files.CHECKPOINT),
        **launch.environment,
    }


def _names(key: WorkKey) -> dict[str, str]:
    if isinstance(key, JobKey):
        return {"TUNEWELL_JOB": str(key.job), "TUNEWELL_ATTEMPT": str(key.attempt)}
    return {
        "TUNEWELL_EXPERIMENT": key.experiment,
        "TUNEWELL_TRIAL": str(key.trial),
        "TUNEWELL_ATTEMPT": str(key.attempt),
    }


def become_trial(launch: Launch, surroundings: Surroundings) -> NoReturn:
    """Turn this freshly forked process into the trial; never returns."""
    code = NOT_STARTED
    try:
        try:
            code = _run(launch, surroundings)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _flush()
    except BaseException:
        traceback.print_exc()
    finally:
        # No exit handler of the fork server, whose copy this process is, may run here.
        os._exit(code)


def _run(launch: Launch, surroundings: Surroundings) -> int:
    processes.die_with_parent(surroundings.supervisor)
    os.setpgid(0, 0)
    _reset_signals()
    for stream in (sys.stdout, sys.stderr):  # not later: Python seeks in them, which pipes refuse
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    os.dup2(surroundings.output, 1)
    os.dup2(surroundings.output, 2)
    for descriptor in (surroundings.output, *surroundings.private):
        os.close(descriptor)
    processes.offer_to_oom_killer()
    processes.give_way()
    base, user = surroundings.environment, surroundings.user
    if user is not None and launch.command is not None:
        user.hand_over(launch.folder)
        user.become(surroundings.supervisor)
        base = user.environment(base)
    environment = trial_environment(launch, base)
    problem = _enter(launch.working_directory)
    if problem is None and launch.command is not None:
        problem = _execute(launch.command, environment, launch.working_directory)
    if problem is not None:
        os.write(surroundings.problem, problem.encode())
        return NOT_STARTED
    os.close(surroundings.problem)
    return _call(launch, environment)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    # Python ignores SIGPIPE and SIGXFSZ; a program expects them as they are by default.
    for number in ("SIGCHLD", "SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, number), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _enter(folder: Path) -> str | None:
    try:
        os.chdir(folder)
    except OSError as error:
        return f"the working directory {folder} can't be entered: {error.strerror}"
    return None


def _execute(command: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> str:
    """Replace this process by the program; return why it could not be done."""
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        path = Path(command[0])
        if error.errno == errno.ENOENT and path.name != command[0] and path.exists():
            reason = "the interpreter in its first line is not there"
        elif error.errno == errno.ENOENT:
            reason = "there is no such program"
        elif error.errno == errno.EACCES:
            reason = "it is not executable"
        elif error.errno == errno.ENOEXEC:
            reason = "it is no program; if it is a script, its first line must name an interpreter (#!/bin/sh)"
        else:
            reason = error.strerror or str(error)
    except ValueError as error:  # a null byte
        reason = str(error)
    return f"'{command[0]}' can't be started: {reason} (working directory: {folder})"


def _call(launch: Launch, environment: Mapping[str, str]) -> int:
    """Call the function that `launch.entry` names in this process; return the exit code."""
    assert launch.entry is not None, "a launch has a command or an entry"
    _start_afresh(environment, launch.resources.threads)
    signal.signal(signal.SIGTERM, raise_pruned)
    try:
        module, _, name = launch.entry.partition(":")
        sys.argv = [launch.entry]
        getattr(import_module(module), name)(launch.folder)
    except Pruned:
        return ASKED_TO_END
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return (exit_.code or 0) & 0xFF
        print(exit_.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _start_afresh(environment: Mapping[str, str], threads: int) -> None:
    """Undo what the fork server has left in this copy of it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        # OpenMP's threads did not come through the fork. This must be the first call: without it, an operation
        # waits for them for ever.
        torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(environment)
    # Python's own random numbers begin again in every fork; those of other libraries don't.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if torch is not None:
        torch.seed()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
