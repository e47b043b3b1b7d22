"""Child processes that do one thing when asked: a JSON line in, a JSON line out. The standard library is enough."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
_TAIL_CHARACTERS = 2000


class Child:
    """A child process that answers; what it writes to standard error lies in a file."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process = process
        self._errors = errors

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send a question and wait for the answer.

        :raise RuntimeError: if the child ended instead.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            tail = self._errors.read_text(errors="replace")[-_TAIL_CHARACTERS:]
            raise RuntimeError(f"a child of the benchmark ended:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def answering(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    name: str,
    environment: Mapping[str, str],
    python: str | Path = sys.executable,
) -> Iterator[Child]:
    """Run a module of ours that calls :func:`answer_questions`, until the block ends; wait till it is ready."""
    errors = folder / f"{name}.errors"
    with errors.open("w") as output:
        process = subprocess.Popen(
            [str(python), "-m", module, *arguments],
            cwd=PROJECT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    with process:
        try:
            child = Child(process, errors)
            child.ask()
            yield child
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def answer_questions(answer: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Answer questions until standard input ends; an empty one asks whether the child is ready."""
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answer(question) if question else {}), flush=True)
