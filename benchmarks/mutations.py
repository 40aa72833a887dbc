"""Whether the tests notice a changed line: a sample of mutations, each run against the tests of its module.

A mutation changes one place: a comparison is turned round, a number is one more or less, a truth value its opposite,
`not` comes or goes, `and` becomes `or`, a return value becomes None, a statement is left out. It is killed if a test
fails or hangs. Some survivors change nothing that matters; look at each.

Everything happens in a copy of the tree; nothing is left of it, nor of processes that the tests leave behind.

    ./dev bench mutations --module tunewell.controller.stop_rules --number 20 --seed 1
"""

from __future__ import annotations

import argparse
import ast
import copy
import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("controller", "store", "schedulers", "home", "service", "spec")
#: Package → the contract suite that its modules are held to.
CONTRACTS = {"tuners": "tuner", "store": "store", "schedulers": "scheduler", "tasks": "task"}
#: A run of the tests is ended after so many times what it takes without a mutation, and not before so many seconds.
PATIENCE, LEAST_SECONDS = 4.0, 20.0
_PR_SET_CHILD_SUBREAPER = 36

OPPOSITES: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutation:
    """A place of a module and what stands there instead."""

    module: Path
    #: Offsets in the module's text.
    start: int
    end: int
    line: int
    new: str

    def apply(self, text: str) -> str:
        """Return the mutated text."""
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        text = (ROOT / self.module).read_text()
        old = " ".join(text[self.start : self.end].split())
        return f"{self.module}:{self.line}: {old}  ->  {self.new}"


def mutations(module: Path) -> Iterator[Mutation]:
    """Yield all mutations of a module, given relative to the root."""
    text = (ROOT / module).read_text()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    encoded = text.encode()

    def offset(line: int, column: int) -> int:
        return len(encoded[: starts[line - 1] + column].decode())

    for node, new in _changes(ast.parse(text)):
        start, end = offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0)
        yield Mutation(module, start, end, node.lineno, new)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield nodes with what may stand for them, in all that is run; not in types, imports and what is only logged."""
    if isinstance(node, ast.stmt) and _is_deletable(node):
        yield node, "pass"
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield node, "return None"
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    if isinstance(node, ast.expr):
        yield from ((node, f"({new})") for new in _instead(node))
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_left_out(child):
                yield from _changes(child)


def _instead(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        changed = copy.deepcopy(node)
        changed.ops = [OPPOSITES[type(node.ops[0])]()]
        yield ast.unparse(changed)
    elif isinstance(node, ast.BoolOp):
        changed_op = copy.deepcopy(node)
        changed_op.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.unparse(changed_op)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (repr(node.value + 1), repr(node.value - 1))


def _is_deletable(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom)
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Delete | ast.Continue | ast.Break)


def _is_left_out(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func).startswith("log.")
    return isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def tests_of(module: Path) -> list[list[str]]:
    """Return the tests that mirror a module, the nearest ones first: its own, then its package's and its contract's."""
    package = module.parts[2] if len(module.parts) > 3 else ""
    folder = Path("tests", *module.parts[2:-1])
    own = folder / f"test_{module.stem.strip('_')}.py"
    suite = Path("tests", "contracts", f"test_{CONTRACTS.get(package, '')}_contract.py")
    wider = [str(path) for path in (folder, suite) if package and (ROOT / path).exists()]
    return [group for group in ([str(own)] if (ROOT / own).exists() else [], wider) if group]


class Copy:
    """A copy of the tree in which the tests are run."""

    def __init__(self, folder: Path) -> None:
        """Copy what the tests need."""
        self._folder = folder
        folder.chmod(0o755)  # some tests read as a user without rights
        leave_out = shutil.ignore_patterns("__pycache__", ".*")
        for name in ("src", "tests", "benchmarks", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=leave_out, symlinks=True)
        for path in ROOT.glob("*.*"):
            if path.is_file():
                shutil.copy(path, folder)

    def pass_(self, tests: list[str], limit: float | None = None) -> bool:
        """Say whether the tests pass, within so many seconds; whatever they leave running is ended."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = {"PYTHONPATH": str(self._folder / "src"), "OMP_NUM_THREADS": "1", "TMPDIR": str(self._folder)}
        run = subprocess.Popen(
            command,
            cwd=self._folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return run.wait(limit) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            _end_descendants()
            run.wait()

    def survives(self, mutation: Mutation, limits: Mapping[str, float]) -> bool:
        """Say whether all tests of a module pass although it is mutated."""
        path = self._folder / mutation.module
        text = path.read_text()
        path.write_text(mutation.apply(text))
        try:
            return all(self._unnoticed(path, tests, limits[" ".join(tests)]) for tests in tests_of(mutation.module))
        finally:
            path.write_text(text)
            self._forget(path)

    def _unnoticed(self, path: Path, tests: list[str], limit: float) -> bool:
        self._forget(path)
        return self.pass_(tests, limit)

    def _forget(self, path: Path) -> None:
        """Remove compiled code: a change within a second that keeps the size would not be seen."""
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()


def _end_descendants() -> None:
    """Kill all that descends from this process; it adopts what the tests' own processes leave behind."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            process.wait(10)


def modules(names: list[str]) -> list[Path]:
    """Return the files of modules and packages, given by their dotted names."""
    found: list[Path] = []
    for name in names:
        path = Path("src", *name.split("."))
        inside = sorted(
            file.relative_to(ROOT) for file in (ROOT / path).rglob("*.py") if "migrations" not in file.parts
        )
        found += inside or [path.with_suffix(".py")]
    return found


def main() -> int:
    """Mutate, test, and print what survived; return 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", help="a module or package; several times for several")
    parser.add_argument("--number", type=int, default=20, help="mutations in all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chosen = modules(arguments.module or [f"tunewell.{package}" for package in PACKAGES])
    known = [mutation for module in chosen for mutation in mutations(module) if tests_of(module)]
    sample = random.Random(arguments.seed).sample(known, min(arguments.number, len(known)))
    sample.sort(key=lambda mutation: (mutation.module, mutation.start))
    survivors: list[Mutation] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Copy(Path(folder))
        limits = {}
        for tests in {" ".join(tests): tests for m in sample for tests in tests_of(m.module)}.values():
            begun = time.monotonic()
            if not tree.pass_(tests):
                print(f"{' '.join(tests)}: they fail without any mutation")
                return 2
            limits[" ".join(tests)] = max(LEAST_SECONDS, PATIENCE * (time.monotonic() - begun))
        for mutation in sample:
            survived = tree.survives(mutation, limits)
            survivors += [mutation] if survived else []
            print(f"{'SURVIVED' if survived else 'killed  '} {mutation}", flush=True)
    print(f"{len(sample) - len(survivors)} of {len(sample)} killed (of {len(known)} possible mutations)")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
