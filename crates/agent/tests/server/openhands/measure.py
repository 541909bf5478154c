#!/usr/bin/env python3
"""Two figures of the agent as OpenHands' server of actions, beside that server itself in the same run.

    cargo build --profile agent -p podbay-agent        # or crates/agent/build
    /tmp/openhands/bin/python crates/agent/tests/server/openhands/measure.py target/agent/podbay-agent

The environment is that of `ask.py`. What is printed:

* how long a `run` of `echo` takes, in turns with openhands-ai 1.6.0's own server, each over one connection: median and
  95th percentile;
* how many of 10,000 `run` actions, in 16 sessions at once, gave another output or exit code than they have: it must be 0.
"""

import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
from ask import KEY, free_port  # noqa: E402

TURNS = 40
ACTIONS = 10_000
SESSIONS = 16


class Agent:
    """A `podbay-agent serve` of its own."""

    def __init__(self, program):
        self.directory = tempfile.mkdtemp(prefix="measure-")
        environment = {"PATH": os.environ["PATH"], "HOME": self.directory, "SESSION_API_KEY": KEY}
        arguments = ["serve", "--port", "0", "--address", "127.0.0.1", "--directory", self.directory]
        self.process = subprocess.Popen([program, *arguments], env=environment, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def end(self):
        self.process.terminate()
        self.process.wait()


def stock():
    """The server of openhands-ai."""
    port, directory = free_port(), tempfile.mkdtemp(prefix="measure-")
    environment = {**os.environ, "SESSION_API_KEY": KEY, "SU_TO_USER": "false", "LOG_LEVEL": "CRITICAL", "HOME": directory,
                   "TMUX_TMPDIR": tempfile.mkdtemp(prefix="tmux-")}
    arguments = [str(port), "--working-dir", directory, "--username", "root", "--user-id", "0", "--no-enable-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "openhands.runtime.action_execution_server", *arguments],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/alive")
            if json.loads(connection.getresponse().read()) == {"status": "ok"}:
                return port, process, environment
        except OSError:
            time.sleep(0.5)


def run(connection, command):
    """Exit code and output of a command."""
    body = json.dumps({"action": {"action": "run", "args": {"command": command, "blocking": True}, "timeout": 60}})
    connection.request("POST", "/execute_action", body, {"X-Session-API-Key": KEY, "Content-Type": "application/json"})
    told = json.loads(connection.getresponse().read())
    return told["extras"].get("metadata", {}).get("exit_code"), told["content"]


def echoes(program):
    agent = Agent(program)
    port, process, environment = stock()
    ours = http.client.HTTPConnection("127.0.0.1", agent.port)
    theirs = http.client.HTTPConnection("127.0.0.1", port)
    times = {"agent": [], "openhands-ai 1.6.0": []}
    for connection in (ours, theirs):
        run(connection, "true")
    for turn in range(TURNS):
        for name, connection in zip(times, (ours, theirs)):
            began = time.perf_counter()
            run(connection, f"echo {turn}")
            times[name].append((time.perf_counter() - began) * 1000)
    for name, milliseconds in times.items():
        last = statistics.quantiles(milliseconds, n=20)[-1]
        print(f"run echo, {name}: n={TURNS} p50={statistics.median(milliseconds):.2f} p95={last:.2f} ms")
    medians = [statistics.median(milliseconds) for milliseconds in times.values()]
    print(f"ratio of the medians: {medians[1] / medians[0]:.0f}")
    agent.end()
    process.terminate()
    process.wait()
    subprocess.run(["tmux", "kill-server"], env=environment, stderr=subprocess.DEVNULL, check=False)


def many(program):
    agents = [Agent(program) for _ in range(SESSIONS)]
    before = max(agent.memory() for agent in agents)
    wrong, lock = [], threading.Lock()

    def session(number, agent):
        connection = http.client.HTTPConnection("127.0.0.1", agent.port)
        for action in range(ACTIONS // SESSIONS):
            code, text = action % 7, f"session {number} action {action}"
            expected = (code, text)
            given = run(connection, f"echo {text}; (exit {code})")
            if given != expected:
                with lock:
                    wrong.append((expected, given))

    began = time.perf_counter()
    threads = [threading.Thread(target=session, args=pair) for pair in enumerate(agents)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    count = ACTIONS // SESSIONS * SESSIONS
    print(f"{count} actions in {SESSIONS} sessions at once: {len(wrong)} wrong, {count / seconds:.0f} a second")
    print(f"memory of an agent: {before:.1f} MiB before, {max(agent.memory() for agent in agents):.1f} after")
    for expected, given in wrong[:5]:
        print(f"  {expected}: {given}")
    for agent in agents:
        agent.end()
    return not wrong


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    echoes(sys.argv[1])
    sys.exit(0 if many(sys.argv[1]) else 1)
