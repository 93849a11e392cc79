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
        options: Further options of its command line.
    """

    def __init__(self, profile: Path, *options: str) -> None:
        its_input, self._write_end = os.pipe()
        self._read_end, its_output = os.pipe()
        # it reads commands from descriptor 3, and writes answers to 4
        shell = ["bash", "-c", f'exec "$@" 3<&{its_input} 4>&{its_output}', "bash"]
        self.process = subprocess.Popen(
            [*shell, str(CHROMIUM), *OPTIONS, *options, f"--user-data-dir={profile}", "about:blank"],
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

    def open(self, path: Path | str, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file or an address in a page of a width, and wait until it is loaded."""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in DOMAINS:
            self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events = []
        self.call("Page.navigate", url=path if isinstance(path, str) else path.resolve().as_uri())
        deadline = time.monotonic() + TIMEOUT
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._keep(self._message(deadline))

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size, that of a phone if it is narrow."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def value(self, expression: str) -> Any:
        """Value of an expression in the page, or of a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Wait until an expression in the page is true, and return its value."""
        deadline = time.monotonic() + TIMEOUT
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"{expression} is {found!r}: {self.value('document.body.innerText')}"
            time.sleep(0.05)
        return found

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in an input of the page."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        files = [str(path.resolve()) for path in paths]
        self.call("DOM.setFileInputFiles", objectId=found["result"]["objectId"], files=files)

    def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse."""
        node = f"document.querySelector({selector!r})"
        self.value(f"{node}.scrollIntoView({{block: 'nearest', inline: 'nearest'}})")
        box = self.value(f"{node}.getBoundingClientRect().toJSON()")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send an event of the mouse: "mouseMoved", "mousePressed", "mouseReleased" or "mouseWheel"."""
        button = "none" if kind in ("mouseMoved", "mouseWheel") else "left"
        event = {"type": kind, "x": x, "y": y, "button": button, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", **(event | more))

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key, by its name in events of the keyboard."""
        text = {"text": key} if len(key) == 1 else {}
        event = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0])), "modifiers": 8 * shift, **text}
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **event)

    def save_downloads(self, folder: Path) -> None:
        """Save downloads in a folder from now on."""
        session, self.session = self.session, None
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder.resolve()))
        self.session = session

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

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
"""Numbers of the keys without a letter."""


@contextmanager
def browser(profile: Path, *options: str) -> Iterator[Browser]:
    """A browser that is ended at the end of the block."""
    started = Browser(profile, *options)
    try:
        yield started
    finally:
        started.close()
