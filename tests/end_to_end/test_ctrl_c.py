"""Ctrl-C ends any command in a line, with the exit code that shells give."""

import signal
import subprocess
import sys

import pytest

IMPORTING = """
import signal, sys
from seglight.__main__ import main

def hook(event, args):
    if event == "import" and args[0] == "jsonargparse":
        print("begun", flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may ignore it
sys.addaudithook(hook)
sys.exit(main(sys.argv[1:]))
"""
"""All commands import this parser first, and take a good part of a second to import the rest."""

AT_WORK = """
import signal, sys, time
import seglight.commands.release.command as command
from seglight.__main__ import main

def work(*args):
    print("begun", flush=True)
    time.sleep(60)

command.release = work
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""


def interrupted(script: str, *args: str) -> tuple[int, str]:
    """Exit code and last words of a process that gets Ctrl-C when it says that it has begun."""
    command = [sys.executable, "-c", script, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    return process.returncode, said


@pytest.mark.parametrize(
    ("command", "option"),
    [("predict", "--help"), ("export", "--help"), ("release", "--help"), ("fit", "--help_all")],
)
def test_while_modules_are_imported(command: str, option: str) -> None:
    assert interrupted(IMPORTING, command, option) == (130, "seglight: stopped\n")


def test_at_work() -> None:
    assert interrupted(AT_WORK, "release", __file__, "--out", "net") == (130, "seglight: stopped\n")


def test_debug_shows_where() -> None:
    code, said = interrupted(AT_WORK, "release", __file__, "--out", "net", "--debug")
    assert code != 0
    assert "in work" in said
    assert said.endswith("KeyboardInterrupt\n")
