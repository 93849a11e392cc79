"""A Label Studio of its own, started from wherever it is installed, and stopped in the end.

It needs an environment of its own, since it requires other versions of packages than seglight. The variable
LABEL_STUDIO names its program; without it, one on the PATH is used.
"""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PROGRAM = os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")

WHY_SKIPPED = "needs Label Studio: pip install label-studio in an environment of its own, and set LABEL_STUDIO"

KEY = "0123456789abcdef0123456789abcdef01234567"

START_S = 400
"""Seconds that the first start may take: it makes the data base."""

SETTINGS = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LATEST_VERSION_CHECK": "false",
    "COLLECT_ANALYTICS": "false",
    "ML_BLOCK_LOCAL_IP": "false",
    "SSRF_PROTECTION_ENABLED": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "DJANGO_DB": "sqlite",
    "DEBUG": "false",
    "LOG_LEVEL": "WARNING",
}


class Studio:
    """A running Label Studio.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Token {KEY}"}, timeout=100)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of an answer."""
        response = self._client.request(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def project(self, config: str) -> int:
        """The number of a new project."""
        found: int = self.ask("POST", "/api/projects", json={"title": "streets", "label_config": config})["id"]
        return found

    def upload(self, project: int, name: str, content: bytes) -> None:
        """Add an image as a task."""
        self.ask("POST", f"/api/projects/{project}/import", files={"file": (name, content, "image/png")})

    def connect(self, project: int, url: str, **more: Any) -> int:
        """Connect an ML backend; its number."""
        found: int = self.ask("POST", "/api/ml", json={"project": project, "url": url, "title": "seglight", **more})[
            "id"
        ]
        return found

    def act(self, project: int, action: str, **more: Any) -> None:
        """Let the data manager do something to all tasks."""
        selected = {"selectedItems": {"all": True, "excluded": []}, "project": project, **more}
        self.ask("POST", f"/api/dm/actions?id={action}&project={project}", json=selected)

    def masks(self, project: int) -> dict[str, bytes]:
        """Brush strokes of all annotations as PNGs, which Label Studio itself makes, by name."""
        response = self._client.get(f"/api/projects/{project}/export", params={"exportType": "BRUSH_TO_PNG"})
        assert response.is_success, response.text[:500]
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def with_its_kit(code: str, content: Any) -> Any:
    """What code prints as JSON that runs with Label Studio's own packages; `given` is the content."""
    python = Path(str(PROGRAM)).parent / "python"
    lines = f"import json, sys\ngiven = json.load(sys.stdin)\n{code}"
    done = subprocess.run(
        [python, "-c", lines], input=json.dumps(content), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def label_studio(folder: Path) -> Iterator[Studio]:
    """Start one with its data in an empty folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(PROGRAM), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)),
        *("--username", "someone@example.org", "--password", "a-password-of-a-test", "--user-token", KEY),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**environment, **SETTINGS, "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        studio = Studio(f"http://127.0.0.1:{port}")
        try:
            _wait_for(studio, process, log)
            yield studio
        finally:
            studio.close()
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def _wait_for(studio: Studio, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(f"{studio.url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])
