"""What `cvat-cli` needs of a CVAT server: one task with images, on 127.0.0.1."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

TASK = 137
DATE = "2026-01-31T12:00:00.000000Z"


class CvatTask(ThreadingHTTPServer):
    """A server with one task, number 137.

    Args:
        images: The frames, by name.
        labels: Names of the labels, whose ids start from 70.
        version: Version of CVAT.

    Attributes:
        shapes: Shapes that were sent to the task.
    """

    daemon_threads = True

    def __init__(self, images: Mapping[str, bytes], labels: Sequence[str], version: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.images = images
        self.version = version
        self.labels = [
            {
                "id": number,
                "name": name,
                "color": "#112233",
                "attributes": [],
                "type": "any",
                "sublabels": [],
                "has_parent": False,
                "task_id": TASK,
            }
            for number, name in enumerate(labels, 70)
        ]
        self.shapes: list[dict[str, Any]] = []

    def task(self) -> dict[str, Any]:
        """The task, without what `cvat-cli` does not read."""
        return {
            "url": f"{self.url}/api/tasks/{TASK}",
            "id": TASK,
            "name": "street",
            "mode": "annotation",
            "created_date": DATE,
            "updated_date": DATE,
            "status": "annotation",
            "data_chunk_size": len(self.images),
            "data_compressed_chunk_type": "imageset",
            "data_original_chunk_type": "imageset",
            "size": len(self.images),
            "image_quality": 70,
            "data": 1,
            "dimension": "2d",
            "subset": "",
            "organization": None,
            "organization_id": None,
            "project_id": None,
            "jobs": {"count": 1, "completed": 0, "validation": 0, "url": f"{self.url}/api/jobs?task_id={TASK}"},
            "labels": {"url": f"{self.url}/api/labels?task_id={TASK}"},
        }

    def meta(self) -> dict[str, Any]:
        """The frames of the task."""
        sizes = {name: Image.open(io.BytesIO(data)).size for name, data in self.images.items()}
        frames = [
            {"name": name, "width": width, "height": height, "related_files": 0}
            for name, (width, height) in sizes.items()
        ]
        return {
            "chunk_size": len(frames),
            "chunks_updated_date": DATE,
            "size": len(frames),
            "image_quality": 70,
            "start_frame": 0,
            "stop_frame": len(frames) - 1,
            "frame_filter": "",
            "frames": frames,
            "deleted_frames": [],
            "included_frames": None,
        }

    def chunk(self) -> bytes:
        """The frames as an archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for number, (name, data) in enumerate(self.images.items()):
                archive.writestr(f"{number:06d}.{name.rpartition('.')[2]}", data)
        return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers as CVAT's REST API does."""

    server: CvatTask

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        answers: dict[str, Any] = {
            "/api/server/about": {
                "name": "CVAT",
                "description": "",
                "version": self.server.version,
                "logo_url": "",
                "subtitle": "",
            },
            f"/api/tasks/{TASK}": self.server.task(),
            f"/api/tasks/{TASK}/data/meta": self.server.meta(),
            "/api/labels": {
                "count": len(self.server.labels),
                "next": None,
                "previous": None,
                "results": self.server.labels,
            },
        }
        if path == f"/api/tasks/{TASK}/data":
            self.answer(self.server.chunk(), "application/zip")
        elif path in answers:
            self.answer(json.dumps(answers[path]).encode())
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.body()
        if self.path.startswith("/api/auth/login"):
            self.answer(b'{"key": "secret"}', cookies=["sessionid=a; Path=/", "csrftoken=b; Path=/"])
        else:
            self.send_error(404)

    def do_PATCH(self) -> None:
        self.server.shapes += json.loads(self.body())["shapes"]
        self.answer(b'{"version": 0, "tags": [], "shapes": [], "tracks": []}')

    def body(self) -> bytes:
        """What was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, data: bytes, kind: str = "application/json", cookies: Sequence[str] = ()) -> None:
        """Send an answer."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@contextmanager
def cvat_task(images: Mapping[str, bytes], labels: Sequence[str], version: str) -> Iterator[CvatTask]:
    """Run a server within the block."""
    with CvatTask(images, labels, version) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
