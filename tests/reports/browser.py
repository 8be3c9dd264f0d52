"""A headless browser, spoken to over a pipe in its own DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe")
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """One tab. Closes at the end of a ``with``.

    Args:
        profile: an empty folder.

    Attributes:
        said: what the console said, exceptions and refusals included.
        asked: addresses of everything that was requested.
    """

    def __init__(self, profile: Path):
        ours, self.theirs = os.pipe()  # commands: the browser reads 3 and writes 4
        self.mine, theirs = os.pipe()
        moved = lambda: (os.dup2(ours, 100), os.dup2(theirs, 101), os.dup2(100, 3), os.dup2(101, 4))
        self.process = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"], preexec_fn=moved, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours)
        os.close(theirs)
        self.held, self.number, self.session = b"", 0, None
        self.said: list[str] = []
        self.asked: list[str] = []
        self.seen: list[str] = []
        target = next(each for each in self.do("Target.getTargets")["targetInfos"] if each["type"] == "page")["targetId"]
        self.session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *why) -> None:
        self.process.terminate()
        self.process.wait(20)
        os.close(self.theirs)
        os.close(self.mine)

    def do(self, method: str, **given: Any) -> dict[str, Any]:
        """Sends a command and returns its answer; what comes before it is kept."""
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        os.write(self.theirs, json.dumps({"id": self.number, "method": method, "params": given} | session).encode() + b"\0")
        until = time.monotonic() + 60
        while (message := self._next(until)).get("id") != self.number:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self.held:
            if not select.select([self.mine], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            if not (part := os.read(self.mine, 1 << 16)):
                raise RuntimeError("the browser has ended")
            self.held += part
        message, _, self.held = self.held.partition(b"\0")
        return json.loads(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        self.seen.append(method)
        if method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(told))

    def open(self, page: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Opens a page and waits until it is loaded."""
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.seen.clear()
        self.do("Page.navigate", url=page.as_uri())
        until = time.monotonic() + 60
        while "Page.loadEventFired" not in self.seen:
            self._note(self._next(until))

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def where(self, selector: str) -> tuple[float, float]:
        """Middle of an element, brought into sight."""
        return tuple(self.ask(f"""(() => {{ const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: 'center', behavior: 'instant'}}); const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""))

    def hover(self, selector: str) -> None:
        """Moves the mouse to an element."""
        x, y = self.where(selector)
        self.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Presses the mouse on an element."""
        x, y = self.where(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Presses a key on what has the focus."""
        text = {"text": key} if key == " " else {}
        self.do("Input.dispatchKeyEvent", type="keyDown", key=key, code="Space" if key == " " else key, windowsVirtualKeyCode=KEYS[key],
                **text)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=KEYS[key])

    def picture(self) -> bytes:
        """The whole page as PNG."""
        size = self.do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])
