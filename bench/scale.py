#!/usr/bin/env python3
"""Measures how the ambassador bears size: many entries, and many endpoints in one entry.

    unshare --net sh -c 'ip link set lo up && ulimit -n 20000 && bench/scale.py AMBASSADOR LOAD'

AMBASSADOR is the program, LOAD is `remora-bench`, whose load and origin are used. Prints one line a
case: time from start to ready, memory (proportional set size) then, time of a reload that changes
one entry, and for endpoints the CPU of a request when every endpoint is reached at the same origin.
Linux only: it reads /proc. The network namespace has loopback alone, on all of whose addresses the
origin listens. It ends only what it started.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ORIGIN = 18480
ADMIN = 18481
FIRST = 20000


def pss(pid):
    """Proportional set size in MiB."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu(pid):
    """User and system time in seconds."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ambassador:
    """A running ambassador, with its log."""

    def __init__(self, program, folder):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [program, "-c", os.path.join(folder, "remora.yaml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stderr:
            if json.loads(line).get("message") == "ready":
                break
        self.start = time.monotonic() - self.begun

    def reload(self):
        """How long a reload takes, in seconds."""
        begun = time.monotonic()
        request = urllib.request.Request(f"http://127.0.0.1:{ADMIN}/reload", method="POST")
        urllib.request.urlopen(request).read()
        return time.monotonic() - begun

    def end(self):
        self.process.send_signal(signal.SIGINT)
        # What it still says must not fill the pipe.
        self.process.communicate()


def entries(count, changed):
    """A configuration with many entries; `changed` is in one of them."""
    lines = [f"admin: 127.0.0.1:{ADMIN}", "workers: 1", "ambassador:"]
    for number in range(count):
        lines += [
            f"  service-{number}:",
            f"    listen: 127.0.0.1:{FIRST + number}",
            f"    to: http://127.0.0.1:{ORIGIN}",
        ]
    return "\n".join(lines + [f"    timeout: {{request: {changed}s}}"]) + "\n"


def endpoints(folder, count):
    """A configuration with one entry whose endpoints are lines of a file."""
    with open(os.path.join(folder, "endpoints"), "w") as file:
        for number in range(count):
            high, middle, low = number // 62500, number // 250 % 250, number % 250 + 1
            file.write(f"127.{high + 1}.{middle}.{low}:{ORIGIN}\n")
    return (
        f"admin: 127.0.0.1:{ADMIN}\nworkers: 1\nambassador:\n  users:\n"
        f"    listen: 127.0.0.1:{FIRST}\n    to: http://users\n"
        f"    discover: {{file: {folder}/endpoints}}\n"
    )


def load(program, seconds):
    """Requests that were answered."""
    command = [program, "load", "closed", "--port", str(FIRST), "--connections", "64"]
    output = subprocess.run(command + ["--seconds", str(seconds)], capture_output=True, check=True)
    told = json.loads(output.stdout)
    if told["errors"]:
        sys.exit(f"requests failed: {told}")
    return told["requests"]


def write(folder, text):
    with open(os.path.join(folder, "remora.yaml"), "w") as file:
        file.write(text)


def main():
    program, bench = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for count in [1, 1000]:
            write(folder, entries(count, 30))
            ambassador = Ambassador(program, folder)
            memory = pss(ambassador.process.pid)
            write(folder, entries(count, 31))
            reload = ambassador.reload()
            print(
                f"{count} entries: start {ambassador.start * 1e3:.0f} ms, "
                f"{memory:.1f} MiB, reload {reload * 1e3:.0f} ms",
                flush=True,
            )
            ambassador.end()
        origin = subprocess.Popen(
            [bench, "load", "origin", "--port", str(ORIGIN), "--everywhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.5)
        for count in [10, 100, 1000, 10000]:
            write(folder, endpoints(folder, count))
            ambassador = Ambassador(program, folder)
            pid = ambassador.process.pid
            memory = pss(pid)
            load(bench, max(3, count / 400))
            before = cpu(pid)
            requests = load(bench, 5)
            took = (cpu(pid) - before) / requests
            write(folder, endpoints(folder, count) + "    timeout: {request: 31s}\n")
            reload = ambassador.reload()
            print(
                f"{count} endpoints: start {ambassador.start * 1e3:.0f} ms, "
                f"{memory:.1f} MiB, reload {reload * 1e3:.0f} ms, "
                f"{took * 1e6:.1f} us a request, {pss(pid):.1f} MiB under load",
                flush=True,
            )
            ambassador.end()
        origin.stdin.close()
        origin.kill()
        origin.wait()


if __name__ == "__main__":
    main()
