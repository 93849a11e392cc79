"""A Slurm of one node in a folder of its own: munged, slurmctld and slurmd, started and stopped by this process.

`python -m tests.support.slurm COMMAND ...` runs a command, such as `bash`, on a cluster of its own.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")

CONFIG = """
ClusterName=seglight
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits until its credential has run out
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=20
NodeName={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1024 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60 MaxTime=INFINITE
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE
"""


class Slurm:
    """A running cluster of one node with two CPUs; a job of the partition `high` drives out those of `low`.

    Attributes:
        folder: Where its configuration, state and logs are.
        environment: What a client such as `sbatch` needs to find it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: object) -> str:
        """What a client such as `squeue` prints."""
        done = subprocess.run(
            list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, *arguments: object) -> int:
        """The id of a new job."""
        return int(self.run("sbatch", "--parsable", *arguments))

    def show(self, job: int) -> dict[str, str]:
        """What the controller knows of a job, such as JobState, Restarts and ExitCode."""
        fields = self.run("scontrol", "--oneliner", "show", "job", job).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def wait(self, job: int, *states: str, seconds: float = 60) -> None:
        """Until a job is in one of these states; each look is a process, and takes as long as many steps of a job."""
        wait_for(lambda: self.show(job)["JobState"] in states, f"job {job} to be one of {states}", seconds, every=0.5)


def missing() -> str | None:
    """Why there can be no cluster here, if so."""
    if os.getuid() != 0:
        return "only root can run a Slurm of its own"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(absent)}: apt-get install slurm-wlm munge" if absent else None


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Start one in an empty folder; in the end its jobs are cancelled and its daemons have gone."""
    for name in ("state", "spool"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    slurm = Slurm(folder)
    ports = free_ports(2)
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, ports=ports))
    with ExitStack() as stack:
        munge = [f"--{name}={folder}/munge.{end}" for name, end in MUNGE_FILES.items()]
        # forced, since root's temporary folders are closed to others: only root is to reach the socket
        stack.enter_context(daemon(slurm, "munged", "--foreground", "--force", *munge))
        wait_for((folder / "munge.socket").exists, "munged")
        stack.enter_context(daemon(slurm, "slurmctld", "-D", "-i"))
        stack.enter_context(daemon(slurm, "slurmd", "-D", "-N", host))
        wait_for(lambda: "idle" in slurm.run("sinfo", "--noheader", "--format=%T"), "the node")
        stack.callback(end_jobs, slurm)
        yield slurm


MUNGE_FILES = {
    "key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed",
}  # fmt: skip


def processes_of(slurm: Slurm) -> list[int]:
    """Daemons, steps and tasks that live, by the configuration in their environment."""
    own = f"SLURM_CONF={slurm.folder}/slurm.conf".encode()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if own in environment_of(process)]


def environment_of(process: Path) -> list[bytes]:
    """The variables of a folder of /proc, none where it has ended by now."""
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def end_jobs(slurm: Slurm) -> None:
    """Cancel what is left, and see it go."""
    slurm.run("scancel", "--user=root")
    wait_for(lambda: not slurm.run("squeue", "--noheader"), "the jobs to end")


@contextmanager
def daemon(slurm: Slurm, *command: str) -> Iterator[None]:
    """A daemon in the foreground of a process of its own, which is asked to end, and then made to."""
    with (slurm.folder / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(command, env=slurm.environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def wait_for(what: Callable[[], bool], name: str, seconds: float = 60, every: float = 0.1) -> None:
    """Until something is so; it is looked at every so many seconds.

    Raises:
        TimeoutError: It is not, after so long.
    """
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {name}")
        time.sleep(every)


if __name__ == "__main__":
    reason = missing()
    if reason:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as place, cluster(Path(place)) as own:
        sys.exit(subprocess.call(sys.argv[1:], env=own.environment))
