"""Settings of a server, which hold for all of its protocols."""

from dataclasses import dataclass

MAX_BYTES = 256_000_000
"""Largest body of a request."""

MAX_PIXELS = 1 << 28
"""Most pixels of an image. The PNG of so many labels is written in a few seconds."""

UPLOADS = 2
"""How many bodies of the largest size the web process holds at a time."""


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        host: Address that is listened on.
        port: Port that is listened on; 0: any that is free.
        token: Secret that a request has to state; None: every request is answered.
        max_bytes: Largest number of bytes of a request's body.
        max_pixels: Largest number of pixels of an image; a memory limit can lower it.
        batch: Largest number of images of one size that are passed to a net together.
        wait_s: Longest time in seconds that an image waits for others of its size.
        queue: Largest number of images that wait; a request beyond it is refused.
        workers: Number of processes that predict.
        max_memory: Bytes that all processes of the server may hold together; None: no limit.
        body_timeout_s: Seconds within which a body has to arrive, and further ones for each part of it that has.
        label_studio_hosts: Hosts that images of Label Studio may be fetched from.
        label_studio_key: Key of Label Studio's API, which is sent to the first of these hosts only.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: bytes | None = None
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    batch: int = 8
    wait_s: float = 0.005
    queue: int = 256
    workers: int = 1
    max_memory: int | None = None
    body_timeout_s: float = 30.0
    label_studio_hosts: tuple[str, ...] = ()
    label_studio_key: str | None = None

    @property
    def upload_bytes(self) -> int:
        """Bytes of all bodies that the web process holds at a time; a request that would exceed them is refused."""
        return UPLOADS * self.max_bytes

    @property
    def tasks_at_once(self) -> int:
        """Tasks of Label Studio whose images are held at a time: one is fetched while the workers predict."""
        return self.workers + 1

    @property
    def held_bytes(self) -> int:
        """Bytes of all bodies, and of images of Label Studio, that the web process holds at a time."""
        fetched = self.tasks_at_once * self.max_bytes if self.label_studio_hosts else 0
        return self.upload_bytes + fetched
