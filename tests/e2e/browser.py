"""A headless Chromium, driven over a pipe with the DevTools protocol; no driver and no library needed."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from harness import wait_for


def chromium():
    """The browser's path, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page. Commands go to its descriptor 3, answers come from 4, each ended by a zero byte."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="havn-e2e-browser-")
        commands_in, self.commands = os.pipe()
        self.answers, answers_out = os.pipe()
        arguments = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"]
        shell = f'exec "$@" 3<&{commands_in} 4>&{answers_out}'
        self.process = subprocess.Popen(["/bin/bash", "-c", shell, "chromium", *arguments],
                                        pass_fds=(commands_in, answers_out), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(commands_in)
        os.close(answers_out)
        self.number, self.buffer, self.session, self.exceptions = 0, b"", None, []
        pages = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in pages if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.call("Runtime.enable")
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next_message()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.exceptions.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def next_message(self):
        while b"\0" not in self.buffer:
            more = os.read(self.answers, 65536)
            assert more, "Chromium has gone"
            self.buffer += more
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression, seconds=20):
        """Until the expression is true in the page; returns its value."""
        return wait_for(lambda: self.run(expression), seconds, expression, every=0.05)

    def errors(self):
        """What the page's scripts threw."""
        self.run("0")
        return self.exceptions
