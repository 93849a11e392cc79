"""Asks trial steps of a process of their own, whose memory is limited, and of which nothing stays."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from seglight.commands.init.duration import plain_time
from seglight.commands.init.question import Answer, Question, keep, kept_answer
from seglight.errors import UserError, say
from seglight.system.memory import resident_bytes_of

PATIENCE = 600.0
"""Seconds after which a trial is given up."""

GLANCE = 0.05
"""Seconds between two looks at the memory of the process."""


class Trials:
    """Answers questions by kept measurements, or by trial steps.

    Attributes:
        asked: Number of questions that were measured.
        found: Number of questions whose answer was kept.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.found = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 closed in __exit__

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        self.errors.close()

    def ask(self, question: Question) -> Answer:
        """The answer to a question.

        Raises:
            UserError: The trial failed for another reason than memory.
        """
        kept = kept_answer(question)
        if kept is not None:
            self.found += 1
            return kept
        self.asked += 1
        answer = self._measured(question).rounded()
        keep(question, answer)
        return answer

    def _measured(self, question: Question) -> Answer:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: so has its output
            process.stdin.write(json.dumps(asdict(question)).encode() + b"\n")
            process.stdin.flush()
        limit = question.memory if question.accelerator == "cpu" else None
        line = _line_within(process, process.stdout.fileno(), limit)
        if line is None:
            self._end()
            say(measured_line(question, Answer(exceeded=True)))
            return Answer(exceeded=True)
        if not line:
            raise UserError(f"the trial step failed: {self._last_error()}")
        content: dict[str, Any] = json.loads(line)
        if "error" in content:
            raise UserError(f"the trial step failed: {content['error']}")
        answer = Answer(**content)
        say(measured_line(question, answer.rounded()))
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            say("measuring training steps on this machine, one line a trial:")
            command = [sys.executable, "-m", "seglight.commands.init.trial"]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.errors)
        return self.process

    def _last_error(self) -> str:
        process = self.process
        self._end()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"its process ended with code {process.returncode if process else None}"

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


def measured_line(question: Question, answer: Answer) -> str:
    """What was tried, and what a step took: one line."""
    height, width = question.crop
    precision = f", {question.precision}" if question.accelerator == "gpu" else ""
    form = "channels_last" if question.model["channels_last"] else "contiguous"
    encoder = question.model["net"]["init_args"]["encoder"]["init_args"]["name"]
    took = "more memory than there is" if answer.exceeded else f"{plain_time(answer.step)} a step"
    return f"  {encoder}, {question.batch} crops of {height}x{width}{precision}, {form}: {took}"


def _line_within(process: subprocess.Popen[bytes], descriptor: int, limit: int | None) -> bytes | None:
    """The next line of a process; None if it uses more memory than the limit or is too slow; empty if it has ended."""
    end = time.monotonic() + PATIENCE
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], GLANCE)
        if ready:
            part = os.read(descriptor, 1 << 16)
            if not part:
                return None if process.wait() == -9 else b""  # killed for lack of memory
            line += part
        elif time.monotonic() > end or (limit is not None and resident_bytes_of(process.pid) > limit):
            return None
    return line
