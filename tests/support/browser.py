"""Chromium without a window, driven by the DevTools protocol over two pipes: what a page does, and how it looks."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

WHY_SKIPPED = "needs Chromium: apt-get install chromium"

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip

DOMAINS = ("Page", "Runtime", "Log", "Network")

TIMEOUT = 90
"""Seconds that an answer may take, on a machine that is busy."""


class Browser:
    """A running browser, whose page is opened by `open`.

    Args:
        profile: Empty folder for its files.
    """

    def __init__(self, profile: Path) -> None:
        its_input, self._write_end = os.pipe()
        self._read_end, its_output = os.pipe()
        # it reads commands from descriptor 3, and writes answers to 4
        shell = ["bash", "-c", f'exec "$@" 3<&{its_input} 4>&{its_output}', "bash"]
        self.process = subprocess.Popen(
            [*shell, str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(its_input, its_output),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_input)
        os.close(its_output)
        self._buffer = b""
        self._number = 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the page did: messages of the protocol without an answer."""

    def open(self, path: Path, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file in a page of a width, and wait until it is loaded."""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in DOMAINS:
            self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events = []
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + TIMEOUT
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._keep(self._message(deadline))

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size, that of a phone if it is narrow."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def value(self, expression: str) -> Any:
        """Value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def requests(self) -> list[str]:
        """Addresses that the page asked for, other than its own pictures."""
        asked = [event["params"]["request"]["url"] for event in self.events if event["method"] == REQUEST]
        return [address for address in asked if not address.startswith("data:")]

    def complaints(self) -> list[str]:
        """Errors, messages on the console, and dialogs."""
        noticed = (
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Page.javascriptDialogOpening",
        )
        return [json.dumps(event) for event in self.events if event["method"] in noticed]

    def picture(self, clip: dict[str, float] | None = None) -> bytes:
        """PNG of the whole page, or of a part of it: x, y, width, height, scale."""
        if clip is None:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def print(self, path: Path) -> None:
        """Write the page as PDF."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"]))

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send a command, and return its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self._write_end, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])
            self._keep(answer)

    def close(self) -> None:
        """End it."""
        os.close(self._write_end)  # it ends when its pipe does
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._read_end)

    def _keep(self, event: dict[str, Any]) -> None:
        if event.get("sessionId") == self.session and "method" in event:  # not of a page that was opened before
            self.events.append(event)

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read_end], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self._read_end, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


REQUEST = "Network.requestWillBeSent"
COMPLAINTS = (
    "Log.entryAdded",
    "Runtime.consoleAPICalled",
    "Runtime.exceptionThrown",
    "Page.javascriptDialogOpening",
)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that is ended at the end of the block."""
    started = Browser(profile)
    try:
        yield started
    finally:
        started.close()
