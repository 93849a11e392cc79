"""Memory of a process, beside what the system says of it in another place."""

import subprocess
import sys
from pathlib import Path

import pytest

from seglight.system.memory import resident_bytes_of


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system has no /proc")
def test_the_memory_of_another_process_until_it_ends() -> None:
    process = subprocess.Popen([sys.executable, "-Sc", "input()"], stdin=subprocess.PIPE)
    try:
        before = resident_bytes_of(process.pid)
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        told = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))
        assert 0 < before <= told + (1 << 20), "it may grow in between"
    finally:
        process.kill()
        process.communicate()
    assert resident_bytes_of(process.pid) == 0
