"""The unmodified app server of openhands-ai 1.11.0, with the agent-server that it pins (1.34.0), against a running `podbay serve`; see
README.md. It is driven by its own HTTP routes, as its web page does."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

from harness import arguments, case, request, run_all


class App:
    """A running app server."""

    def __init__(self, options):
        self.home = tempfile.mkdtemp(prefix='podbay-conformance-app-')
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self.url = f'http://127.0.0.1:{port}'
        self.log = os.path.join(self.home, 'log')
        kept = {name: os.environ[name] for name in ('PATH', 'LANG', 'TMPDIR') if name in os.environ}
        environment = {
            **kept,
            'HOME': self.home,
            'OH_PERSISTENCE_DIR': self.home,
            'SERVE_FRONTEND': 'false',
            'LITELLM_LOCAL_MODEL_COST_MAP': 'True',
            'PYTHONWARNINGS': 'ignore',
            # As the official chart has it.
            'RUNTIME': 'remote',
            'SANDBOX_REMOTE_RUNTIME_API_URL': options.url,
            'SANDBOX_API_KEY': options.key,
            'OH_SANDBOX_SPEC_KIND': 'openhands.app_server.sandbox.dynamic_remote_sandbox_spec_service.DynamicRemoteSandboxSpecServiceInjector',
            'OH_SANDBOX_SPEC_DEFAULT_SPEC_NAME': 'v1_current',
            # The same service, with a limit that a test reaches.
            'OH_SANDBOX_KIND': 'RemoteSandboxServiceInjector',
            'OH_SANDBOX_API_URL': options.url,
            'OH_SANDBOX_API_KEY': options.key,
            'OH_SANDBOX_MAX_NUM_SANDBOXES': str(options.most),
        }
        # The program itself, with names below `localhost` leading here: `harness` sees to that.
        program = (
            f'import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import harness, uvicorn; '
            f'uvicorn.run("openhands.app_server.app:app", host="127.0.0.1", port={port}, log_level="warning")'
        )
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-c', program], env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(lambda: self.is_up(), 'the app server is up', 120)

    def is_up(self):
        assert self.process.poll() is None, self.told()
        try:
            return request(f'{self.url}/alive', timeout=5)[0] == 200
        except OSError:
            return False

    def told(self):
        with open(self.log, errors='replace') as log:
            return log.read()[-4000:]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)


def until(what, told, seconds):
    """Asks until it is so, as the app's own page does."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, f'not within {seconds} s: {told}'
        time.sleep(0.5)


class Client:
    """What a case asks of the app server, and of the service beside it."""

    def __init__(self, options, app):
        self.options = options
        self.app = app
        self.left = []

    def ask(self, method, path, body=None):
        return request(f'{self.app.url}/api/v1{path}', method, body, timeout=60)

    def api(self, method, path, body=None):
        return request(self.options.url + path, method, body, {'X-API-Key': self.options.key})

    def start(self, spec=None):
        query = '' if spec is None else f'?sandbox_spec_id={spec}'
        status, sandbox = self.ask('POST', f'/sandboxes{query}')
        assert status == 200, (status, sandbox, self.app.told())
        self.left.append(sandbox['id'])
        return sandbox

    def sandbox(self, sandbox_id):
        status, found = self.ask('GET', f'/sandboxes?id={sandbox_id}')
        assert status == 200 and len(found) == 1, (status, found, self.app.told())
        return found[0]

    def in_state(self, sandbox_id, state, seconds=150):
        def there():
            found = self.sandbox(sandbox_id)
            return found if found and found['status'] == state else None

        return until(there, f'{sandbox_id} is {state}', seconds)

    def running(self):
        return self.in_state(self.start()['id'], 'RUNNING')

    def clean(self):
        for sandbox_id in self.left:
            status, session = self.api('GET', f'/sessions/{sandbox_id}')
            if status == 200:
                self.api('POST', '/stop', {'runtime_id': session['runtime_id']})
        self.left = []


def exposed(sandbox):
    return {one['name']: one['url'] for one in sandbox['exposed_urls']}


def run(sandbox, command):
    """A command by the agent-server, asked as the app and its page do."""
    headers = {'X-Session-API-Key': sandbox['session_api_key']}
    url = f'{exposed(sandbox)["AGENT_SERVER"]}/api/bash/execute_bash_command'
    status, output = request(url, 'POST', {'command': command, 'timeout': 30}, headers, timeout=60)
    assert status == 200 and output['exit_code'] == 0, (status, output)
    return (output['stdout'] or '').strip()


@case
def start_run_list_pause_resume_delete(client):
    status, specs = client.ask('GET', '/sandbox-specs/search')
    assert status == 200, (status, specs)
    assert [spec['id'] for spec in specs['items']] == [client.options.image, client.options.bad_image], specs
    begun = time.monotonic()
    started = client.start()
    assert started['status'] in ('STARTING', 'RUNNING') and started['session_api_key'], started
    client.options.measured['start_answered'] = round(time.monotonic() - begun, 3)
    sandbox = client.in_state(started['id'], 'RUNNING')
    client.options.measured['running'] = round(time.monotonic() - begun, 3)
    assert sandbox['sandbox_spec_id'] == client.options.image, sandbox
    assert sandbox['session_api_key'] == started['session_api_key']
    urls = exposed(sandbox)
    assert sorted(urls) == ['AGENT_SERVER', 'VSCODE', 'WORKER_1', 'WORKER_2'], urls
    assert run(sandbox, 'echo hello') == 'hello'
    # What the app derives from the URL, the service knows: nobody serves there, and nobody is let in without a key.
    for name in ('VSCODE', 'WORKER_1', 'WORKER_2'):
        status, _ = request(urls[name].split('?')[0])
        assert status in (401, 403), (name, urls[name], status)
    _, page = client.ask('GET', '/sandboxes/search')
    assert [one['status'] for one in page['items'] if one['id'] == sandbox['id']] == ['RUNNING'], page
    # What was never there is null in a list, beside what is.
    status, found = client.ask('GET', f'/sandboxes?id={sandbox["id"]}&id=never')
    assert status == 200 and [one and one['id'] for one in found] == [sandbox['id'], None], found
    assert client.ask('POST', f'/sandboxes/{sandbox["id"]}/pause') == (200, {'success': True})
    paused = client.in_state(sandbox['id'], 'PAUSED', 30)
    assert paused['exposed_urls'] is None, paused
    # A paused one is not among those that run, by which the app counts.
    _, listed = client.api('GET', '/list')
    assert sandbox['id'] not in [one['session_id'] for one in listed['runtimes']], listed
    assert client.ask('POST', f'/sandboxes/{sandbox["id"]}/resume') == (200, {'success': True})
    resumed = client.in_state(sandbox['id'], 'RUNNING')
    assert exposed(resumed) == urls, resumed
    assert run(resumed, 'echo resumed') == 'resumed'
    # Its route has the id in the path, and reads it from the query (1.11.0).
    assert client.ask('DELETE', f'/sandboxes/{sandbox["id"]}?sandbox_id={sandbox["id"]}') == (200, {'success': True})
    assert client.sandbox(sandbox['id']) is None
    assert client.api('GET', f'/sessions/{sandbox["id"]}')[0] == 404


@case
def a_sandbox_that_is_gone_is_missing_and_can_be_deleted(client):
    sandbox = client.running()
    _, session = client.api('GET', f'/sessions/{sandbox["id"]}')
    assert client.api('POST', '/stop', {'runtime_id': session['runtime_id']})[0] == 200
    assert client.sandbox(sandbox['id'])['status'] == 'MISSING'
    assert client.ask('DELETE', f'/sandboxes/{sandbox["id"]}?sandbox_id={sandbox["id"]}')[0] == 200
    assert client.sandbox(sandbox['id']) is None


@case
def one_too_many_pauses_the_oldest(client):
    assert client.options.most == 2
    first, second = client.running(), client.running()
    third = client.start()
    client.in_state(first['id'], 'PAUSED', 60)
    client.in_state(third['id'], 'RUNNING')
    assert client.sandbox(second['id'])['status'] == 'RUNNING'


@case
def a_bad_image_is_told_in_seconds(client):
    begun = time.monotonic()
    bad = client.options.bad_image
    status, told = client.ask('POST', f'/sandboxes?sandbox_spec_id={bad}')
    if status == 200:
        client.left.append(told['id'])
        client.in_state(told['id'], 'ERROR', 60)
        _, session = client.api('GET', f'/sessions/{told["id"]}')
        assert 'image' in session['status_detail'], session
    else:
        # On this machine there are no images at all: the start is refused, and the app says so.
        assert status == 500 and '422' in str(told), (status, told)
    assert time.monotonic() - begun < 90


@case
def a_conversation_starts_in_a_sandbox(client):
    settings = {'agent_settings_diff': {'llm': {'model': 'openai/none', 'api_key': 'none', 'base_url': 'http://127.0.0.1:1'}}}
    status, told = client.ask('POST', '/settings', settings)
    assert status == 200, (status, told, client.app.told())
    conversation = str(uuid.uuid4())
    status, task = client.ask('POST', '/app-conversations', {'conversation_id': conversation, 'title': 'conformance'})
    assert status == 200, (status, task, client.app.told())

    def ready():
        _, found = client.ask('GET', f'/app-conversations/start-tasks?ids={task["id"]}')
        assert found[0]['status'] != 'ERROR', (found, client.app.told())
        return found[0] if found[0]['status'] == 'READY' else None

    begun = until(ready, 'the conversation is ready', 180)
    client.left.append(begun['sandbox_id'])
    _, found = client.ask('GET', f'/app-conversations?ids={begun["app_conversation_id"]}')
    assert found[0]['sandbox_status'] == 'RUNNING', found


def main():
    parser = arguments()
    parser.add_argument('--most', type=int, default=2, help='sandboxes at once')
    options = parser.parse_intermixed_args()
    app = App(options)
    run_all(options, lambda options: Client(options, app), app.end)


if __name__ == '__main__':
    main()
