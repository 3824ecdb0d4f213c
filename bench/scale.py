#!/usr/bin/env python3
"""Measures how the ambassador bears size: many entries, and many endpoints in one entry; and the ingress many routes.

    unshare --net sh -c 'ip link set lo up && ulimit -n 20000 && bench/scale.py AMBASSADOR INGRESS LOAD'

AMBASSADOR and INGRESS are the programs, LOAD is `remora-bench`, whose load and origin are used. `routes` after them
measures routes alone. Prints one line a case, in about three minutes together: time from start to ready, memory
(proportional set size) a moment later, and time of a reload that changes one entry, or the listener of all routes. For endpoints also the CPU of a request when every
endpoint is reached at the same origin, memory after that, and the CPU of an update that takes one
endpoint away, with the request that meets it first. By hash all requests have one key.

Linux only: it reads /proc. The network namespace has loopback alone, on all of whose addresses the
origin listens. It ends only what it started.
"""

import glob
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ORIGIN = 18480
ADMIN = 18481
FIRST = 20000
SECONDS = 5


def pss(pid):
    """Proportional set size in MiB."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu(pid):
    """CPU time of all threads in seconds."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def fetch(port, path="/", method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    return urllib.request.urlopen(request).read().decode()


class Proxy:
    """A running proxy, whose log is read for as long as it runs."""

    def __init__(self, program, folder):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [program, "-c", os.path.join(folder, "remora.yaml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        for line in self.process.stderr:
            if json.loads(line).get("message") == "ready":
                break
        self.start = time.monotonic() - begun
        # A pipe that is full would hold it up.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def reload(self):
        """How long a reload takes, in seconds."""
        begun = time.monotonic()
        fetch(ADMIN, "/reload", "POST")
        return time.monotonic() - begun

    def known(self):
        """How many endpoints it has."""
        lines = fetch(ADMIN, "/metrics").splitlines()
        counts = [line for line in lines if line.startswith("remora_endpoints{")]
        return sum(int(line.split()[-1]) for line in counts)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def write(folder, name, text):
    """Replaces a file as a whole: what is written in place may be read half."""
    path = os.path.join(folder, name)
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def entries(folder, count, kind):
    """A configuration with many entries but for its last line."""
    lines = [f"admin: 127.0.0.1:{ADMIN}", "workers: 1", "ambassador:"]
    for number in range(count):
        lines += [f"  service-{number}:", f"    listen: 127.0.0.1:{FIRST + number}"]
        if kind == "https":
            lines.append(f"    to: https://127.0.0.1:{number + 1}")
        elif kind == "file":
            write(folder, f"endpoints-{number}", f"127.0.0.1:{ORIGIN}\n")
            found = f"{{file: {folder}/endpoints-{number}}}"
            lines += ["    to: http://users", f"    discover: {found}"]
        else:
            lines.append(f"    to: http://127.0.0.1:{ORIGIN}")
    return "\n".join(lines)


def timeout(seconds):
    return f"\n    timeout: {{request: {seconds}s}}\n"


def measure_file(program, folder, name, former, latter):
    """Start and memory with one file, and the reload of another."""
    starts, memories, reloads = [], [], []
    for _ in range(3):
        write(folder, "remora.yaml", former)
        proxy = Proxy(program, folder)
        starts.append(proxy.start * 1e3)
        # What reading the file took besides is given back a second later.
        time.sleep(1.5)
        memories.append(pss(proxy.pid))
        write(folder, "remora.yaml", latter)
        reloads.append(proxy.reload() * 1e3)
        proxy.end()
    start, memory, reload = map(statistics.median, (starts, memories, reloads))
    print(f"{name}: start {start:.0f} ms, {memory:.1f} MiB, reload {reload:.0f} ms", flush=True)


def measure_entries(program, folder, count, kind):
    text = entries(folder, count, kind)
    name = f"{count} entries" + (f" ({kind})" if kind else "")
    measure_file(program, folder, name, text + timeout(30), text + timeout(31))


def routes(hosts, services):
    """A configuration with five routes a host but for its last line: a tenth of the hosts are wildcards."""
    lines = [f"admin: 127.0.0.1:{ADMIN}", "workers: 1", "ingress:", "  web:"]
    lines += [f"    listen: 127.0.0.1:{FIRST}", "    routes:"]
    for number in range(hosts):
        host = f"shop-{number}.example" if number % 10 else f"*.tenant-{number}.example"
        service = number % services
        to = f"http://127.9.{service // 250}.{service % 250 + 1}:{ORIGIN}"
        beta = "when: {headers: {x-version: beta}}"
        lines += [
            f"      '{host}': {to}",
            f"      '{host}/api': {{to: '{to}', rewrite: {{prefix: /}}}}",
            f"      '{host}=/healthz': {{respond: {{status: 200, body: ok}}}}",
            f"      'POST {host}/cart': {to}",
            f"      '{host}/cart#beta-{number}': {{to: '{to}', {beta}}}",
        ]
    return "\n".join(lines)


def measure_routes(program, folder, hosts, services, further=""):
    text = routes(hosts, services) + "\n" + further
    name = f"{hosts * 5} routes of {hosts} hosts to {services} services"
    name += f", {further.strip()}" if further else ""
    latter = text + "    max-headers: 65KiB\n"
    measure_file(program, folder, name, text, latter)


def endpoints(folder, count):
    """Writes the file with so many endpoints."""
    lines = []
    for number in range(count):
        high, middle, low = number // 62500, number // 250 % 250, number % 250 + 1
        lines.append(f"127.{high + 1}.{middle}.{low}:{ORIGIN}\n")
    write(folder, "endpoints", "".join(lines))


def load(program):
    """Requests that were answered."""
    command = [program, "load", "closed", "--port", str(FIRST), "--connections", "64"]
    output = subprocess.run(command, input=f"{SECONDS}\n".encode(), capture_output=True, check=True)
    told = json.loads(output.stdout.splitlines()[-1])
    if told["errors"]:
        sys.exit(f"requests failed: {told}")
    return told["requests"]


def measure_update(ambassador, folder, count):
    """CPU in seconds of an update that takes one endpoint away, and of one request."""
    # What the worker does after a reload is no part of it.
    fetch(FIRST)
    time.sleep(1.2)
    idle = cpu(ambassador.pid)
    time.sleep(1)
    before = cpu(ambassador.pid)
    endpoints(folder, count - 1)
    time.sleep(1)
    fetch(FIRST)
    took = cpu(ambassador.pid) - before - (before - idle)
    if ambassador.known() != count - 1:
        sys.exit("the update was not noticed")
    return took


def measure_endpoints(program, bench, folder, count, balance):
    text = (
        f"admin: 127.0.0.1:{ADMIN}\nworkers: 1\nambassador:\n  users:\n"
        f"    listen: 127.0.0.1:{FIRST}\n    to: http://users\n"
        f"    discover: {{file: {folder}/endpoints}}\n    balance: {balance}"
    )
    endpoints(folder, count)
    write(folder, "remora.yaml", text + timeout(30))
    ambassador = Proxy(program, folder)
    pid = ambassador.pid
    memory = pss(pid)
    # Until there is a connection to nearly each.
    load(bench)
    before = cpu(pid)
    requests = load(bench)
    request = (cpu(pid) - before) / requests
    loaded = pss(pid)
    write(folder, "remora.yaml", text + timeout(31))
    reload = ambassador.reload()
    update = measure_update(ambassador, folder, count)
    print(
        f"{count} endpoints, {balance}: start {ambassador.start * 1e3:.0f} ms, "
        f"{memory:.1f} MiB, {request * 1e6:.1f} us a request, then {loaded:.1f} MiB, "
        f"reload {reload * 1e3:.0f} ms, update {update * 1e3:.1f} ms",
        flush=True,
    )
    ambassador.end()


def main():
    program, ingress, bench, *only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for hosts, services in [(1, 1), (200, 40), (1000, 200), (1000, 1000)]:
            measure_routes(ingress, folder, hosts, services)
        measure_routes(ingress, folder, 1000, 1000, "    compress: {}\n")
        if only:
            return
        for count, kind in [(1, ""), (1000, ""), (1000, "https"), (1000, "file"), (10000, "")]:
            measure_entries(program, folder, count, kind)
        origin = subprocess.Popen(
            [bench, "load", "origin", "--port", str(ORIGIN), "--everywhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        origin.stdout.readline()
        for count in [10, 100, 1000, 10000]:
            measure_endpoints(program, bench, folder, count, "p2c")
        for balance in ["least", "round-robin", "{hash: source}"]:
            measure_endpoints(program, bench, folder, 10000, balance)
        origin.stdin.close()
        origin.kill()
        origin.wait()


if __name__ == "__main__":
    main()
