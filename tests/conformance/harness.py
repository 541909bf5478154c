"""What the programs in this directory share: cases, questions to the API beside a client's own, and a line for each case."""

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
import uuid

CASES = []

# Names below `localhost` are this machine (RFC 6761, 6.3), as systemd's resolver and libnss-myhostname have it, and glibc alone does not:
# the resolver of this process, for sessions with hosts of their own.
resolve = socket.getaddrinfo


def resolve_localhost(host, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None and name.endswith('.localhost'):
        host = '127.0.0.1'
    return resolve(host, *more, **named)


socket.getaddrinfo = resolve_localhost


class Skip(Exception):
    """The case can't be run here."""


def case(function):
    CASES.append(function)
    return function


def request(url, method='GET', body=None, headers=None, timeout=30):
    """A request of ours: the status and the body, read as JSON where it is."""
    headers = dict(headers or {})
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers['Content-Type'] = 'application/json'
    asked = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text or b'null')
    except ValueError:
        return status, text


def session_id():
    # As the app makes them: mixed case, no DNS name.
    return f'Sid_{uuid.uuid4().hex[:22]}'


def causes(error):
    """An exception and all that it is raised from, as text."""
    told = []
    while error is not None:
        told.append(f'{type(error).__name__}: {error}')
        error = error.__cause__ or error.__context__
    return '\n'.join(told)


def kill_the_service(client):
    """Whoever has started it starts it again."""
    with open(pid_file(client)) as file:
        before = int(file.read())
    os.kill(before, signal.SIGKILL)


def pid_file(client):
    if client.options.pid_file is None:
        raise Skip('whether the service is started again is not known: no --pid-file')
    return client.options.pid_file


def arguments():
    """The parser of what all programs take; one may add what it alone does."""
    parser = argparse.ArgumentParser()
    parser.add_argument('url')
    parser.add_argument('key')
    parser.add_argument('image')
    parser.add_argument('--other-key')
    parser.add_argument('--pid-file', help='has the process id of the service, which somebody starts again where it is killed')
    parser.add_argument('--keys-file', help='has the key of the other owner, as the service reads it when it starts')
    parser.add_argument('--bad-image', default='registry.invalid/no-such-image:1')
    parser.add_argument('cases', nargs='*')
    return parser


def run_all(options, make_client, end=lambda: None):
    """Runs the cases that are chosen, or all, each with a client and a directory of its own; ends what they share, and the process."""
    options.measured = {}
    failed = False
    chosen = [function for function in CASES if not options.cases or function.__name__ in options.cases]
    for function in chosen:
        options.scratch = tempfile.mkdtemp(prefix='podbay-conformance-')
        client = make_client(options)
        begun = time.monotonic()
        try:
            function(client)
            print(f'PASS {function.__name__} {time.monotonic() - begun:.2f}', flush=True)
        except Skip as skip:
            print(f'SKIP {function.__name__}: {skip}', flush=True)
        except Exception:
            failed = True
            print(f'FAIL {function.__name__}\n{traceback.format_exc()}', flush=True)
        finally:
            client.clean()
            shutil.rmtree(options.scratch, ignore_errors=True)
    end()
    print(f'MEASURED {json.dumps(options.measured)}', flush=True)
    # Clients register themselves to be closed at the end of the process; all are stopped.
    sys.stdout.flush()
    os._exit(1 if failed or not chosen else 0)
