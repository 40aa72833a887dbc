"""Keep this process, and all that it starts, from opening anything in the folders of TEST_FENCE.

Python imports this at its start where the folder is in its path.
"""

import os
import sys

_FOLDERS = tuple(os.environ.get("TEST_FENCE", "").split(os.pathsep))
_EVENTS = ("open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.chdir", "os.link", "os.utime")


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _EVENTS or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.path.abspath(os.fsdecode(arguments[0]))
    if any(path == folder or path.startswith(f"{folder}/") for folder in _FOLDERS if folder):
        line = f"{sys.argv[:1]} {event} {path}\n"
        log = os.open(os.environ["TEST_FENCE_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(log, line.encode())
        os.close(log)
        raise PermissionError(13, "no node has this file", path)


sys.addaudithook(_guard)
