#!/usr/bin/env python3
"""Asks the action execution server of openhands-ai 1.6.0 what `actions.json` lists, and writes what it answers to
`answers.json`, which the test beside it compares the agent with.

Run by hand, when the list changes. It takes some three minutes, needs `tmux`, and an environment with the package:

    python3.12 -m venv /tmp/openhands
    /tmp/openhands/bin/pip install openhands-ai==1.6.0
    /tmp/openhands/bin/python crates/agent/tests/server/openhands/ask.py

The list is asked three times, of a server of its own each. An answer that was not the same three times is marked
unstable, with all that were given. What differs from machine to machine is replaced: the directory by `{dir}`, host and
user by `{host}` and `{user}`, Python's path by `{python}`, process ids by a number.

Nothing here is needed to build or test the project: the answers are committed.
"""

import getpass
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

HERE = pathlib.Path(__file__).parent
KEY = "the-key-of-the-session"
TIMES = 3
# Shorter than the server's own 10 seconds, and the same in the test.
NO_CHANGE = "2"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_files(files, directory):
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "text" in content:
            path.write_bytes(content["text"].encode())
        elif "hex" in content:
            path.write_bytes(bytes.fromhex(content["hex"]))
        else:
            text, times = content["repeat"]
            path.write_bytes((text * times).encode())


def multipart(upload):
    boundary = "boundary-of-the-parts"
    if "zip" in upload:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writer:
            for name, text in upload["zip"].items():
                writer.writestr(name, text)
        content = archive.getvalue()
    else:
        content = upload["text"].encode()
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; "
        f"filename=\"{upload['filename']}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def replaced(value, old, new):
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [replaced(item, old, new) for item in value]
    if isinstance(value, dict):
        return {key: replaced(item, old, new) for key, item in value.items()}
    return value


def ask(port, directory, request):
    request = replaced(request, "{dir}", str(directory))
    headers, body = {"X-Session-API-Key": request.get("key", KEY)}, None
    if headers["X-Session-API-Key"] is None:
        headers = {}
    if "action" in request:
        method, path, document = "POST", "/execute_action", {"action": request["action"]}
    else:
        method, path, document = request["method"], request["path"], request.get("json")
    if document is not None:
        body, headers["Content-Type"] = json.dumps(document).encode(), "application/json"
    elif "body" in request:
        body, headers["Content-Type"] = request["body"].encode(), "application/json"
    elif "upload" in request:
        body, headers["Content-Type"] = multipart(request["upload"])
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            status, content, kind = answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        status, content, kind = error.code, error.read(), error.headers["Content-Type"]
    if kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = {"zip": {name: archive.read(name).decode() for name in archive.namelist()}}
    else:
        content = json.loads(content)
    return {"status": status, "body": normalised(content, directory)}


def normalised(content, directory):
    content = replaced(content, str(directory), "{dir}")
    extras = content.get("extras") if isinstance(content, dict) else None
    metadata = extras.get("metadata") if isinstance(extras, dict) else None
    if metadata:
        for name, value in (("username", "{user}"), ("hostname", "{host}"), ("py_interpreter_path", "{python}")):
            if metadata.get(name):
                metadata[name] = value
        if metadata["pid"] > 0:
            metadata["pid"] = 1
        content["content"] = re.sub(r"\[1\] \d+", "[1] {pid}", content["content"])
        content["content"] = re.sub(r"job 1\[\d+\]", "job 1[{pid}]", content["content"])
    return content


def one_round(listed):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openhands-"))
    make_files(listed["files"], directory)
    port = free_port()
    environment = {
        **os.environ,
        "SESSION_API_KEY": KEY,
        "NO_CHANGE_TIMEOUT_SECONDS": NO_CHANGE,
        "SU_TO_USER": "false",
        "LOG_LEVEL": "CRITICAL",
        "HOME": str(directory / "home"),
        "TMUX_TMPDIR": tempfile.mkdtemp(prefix="tmux-"),
    }
    (directory / "home").mkdir()
    arguments = [str(port), "--working-dir", str(directory), "--username", "root", "--user-id", "0"]
    def start():
        return subprocess.Popen(
            [sys.executable, "-m", "openhands.runtime.action_execution_server", *arguments, "--no-enable-browser"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    server = start()
    try:
        for _ in range(600):
            # On a busy machine it may give up before it is ready.
            if server.poll() is not None:
                server = start()
            try:
                if ask(port, directory, {"method": "GET", "path": "/alive"})["body"] == {"status": "ok"}:
                    break
            except OSError:
                time.sleep(1)
        answers = {}
        for request in listed["requests"]:
            answers[request["name"]] = ask(port, directory, request)
            print(f"  {request['name']}: {answers[request['name']]['status']}", flush=True)
        return answers
    finally:
        server.terminate()
        server.wait()
        tmux = {**environment}
        subprocess.run(["tmux", "kill-server"], env=tmux, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(environment["TMUX_TMPDIR"], ignore_errors=True)


def main():
    listed = json.loads((HERE / "actions.json").read_text())
    rounds = []
    for number in range(TIMES):
        print(f"round {number + 1} of {TIMES}", flush=True)
        rounds.append(one_round(listed))
    lines = []
    for request in listed["requests"]:
        given = [answers[request["name"]] for answers in rounds]
        answer = given[0] if all(other == given[0] for other in given) else {"unstable": given}
        lines.append(f"{json.dumps(request['name'], ensure_ascii=False)}: {json.dumps(answer, ensure_ascii=False)}")
    (HERE / "answers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    unstable = sum('"unstable"' in line for line in lines)
    print(f"{len(lines)} answers of {getpass.getuser()}@{socket.gethostname()}, {unstable} unstable")


if __name__ == "__main__":
    main()
