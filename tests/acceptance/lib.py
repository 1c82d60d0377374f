"""What the acceptance scripts share: a server of their own, the real recordings, the verdict."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77  # exit code: something that the script needs is not there


def build_dir():
    given = os.environ.get("SAED_BUILD")
    for path in [given] if given else [ROOT / "build" / "ci", ROOT / "build" / "release"]:
        if (pathlib.Path(path) / "bin" / "saed").exists():
            return pathlib.Path(path)
    sys.exit("no built server found; run deploy/test.sh, or set SAED_BUILD")


BUILD = build_dir()
sys.path.insert(0, str(BUILD / "python"))

import grpc  # noqa: E402
import numpy as np  # noqa: E402, F401
import saed  # noqa: E402


class Server:
    """A server on free ports with a data directory of its own."""

    def __init__(self, data_dir=None, environment=None, **flags):
        self.environment = {**os.environ, **(environment or {})}
        self.own = data_dir is None
        self.data_dir = data_dir or tempfile.mkdtemp(prefix="saed-acceptance-")
        self.flags = flags
        self.process = None
        self.start()

    def start(self):
        command = [str(BUILD / "bin" / "saed"), "--data-dir", self.data_dir,
                   "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
                   "--log-level", "warn"]
        for name, value in self.flags.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        env=self.environment)
        line = self.process.stdout.readline()
        ports = re.search(r"port=(\d+) metrics_port=(\d+)", line)
        if ports is None:
            sys.exit(f"the server did not start: {line}")
        self.address, self.metrics_port = f"127.0.0.1:{ports[1]}", int(ports[2])
        self.lab = saed.connect(self.address)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def healthy(self):
        """Whether the standard health check says SERVING."""
        channel = grpc.insecure_channel(self.address)
        check = channel.unary_unary("/grpc.health.v1.Health/Check",
                                    request_serializer=lambda m: m,
                                    response_deserializer=lambda m: m)
        return check(b"", timeout=10) == b"\x08\x01"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.stop()
        if self.own:
            shutil.rmtree(self.data_dir, ignore_errors=True)


def real_data(name):
    """The folder of a real recording; ends the script as skipped where it is absent."""
    path = pathlib.Path(os.environ.get("SAED_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        skip(f"the recording {name} is not there; set SAED_DATA")
    return path


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(SKIP)


def verdict(good, figure):
    """Prints the figure on the last line and ends with 0 only where the promise holds."""
    print(f"{'PASS' if good else 'FAIL'}: {figure}")
    sys.exit(0 if good else 1)


def wait_until(condition, seconds):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
