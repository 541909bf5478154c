"""The unmodified APIRemoteWorkspace of openhands-workspace 1.58.2, with a real agent-server, against a running `podbay serve`; see
README.md."""

import os
import threading
import time

os.environ.setdefault('LOG_LEVEL', 'ERROR')
# Of client and server: neither asks the internet for the prices of models, and no browser is looked for.
SPARE = {
    'LITELLM_LOCAL_MODEL_COST_MAP': 'True',
    'OH_PRELOAD_TOOLS': 'false',
    'OH_ENABLE_VSCODE': 'false',
    'OPENHANDS_SUPPRESS_BANNER': '1',
}
os.environ.update(SPARE)

import httpx  # noqa: E402
from openhands.workspace import APIRemoteWorkspace  # noqa: E402

from harness import Skip, arguments, case, causes, kill_the_service, pid_file, request, run_all, session_id  # noqa: E402


class Client:
    """A stock client, and what the cases ask of the API beside it."""

    def __init__(self, options):
        self.options = options
        self.left = []

    def workspace(self, sid, *, key=None, image=None, keep=True, **more):
        workspace = APIRemoteWorkspace(
            runtime_api_url=self.options.url,
            runtime_api_key=key or self.options.key,
            server_image=image or self.options.image,
            session_id=sid,
            working_dir=self.options.work or self.options.scratch,
            keep_alive=keep,
            forward_env=list(SPARE),
            **more,
        )
        self.left.append(sid)
        return workspace

    def api(self, method, path, body=None, key=None):
        return request(self.options.url + path, method, body, {'X-API-Key': key or self.options.key})

    def session(self, sid):
        status, session = self.api('GET', f'/sessions/{sid}')
        assert status == 200, (status, session)
        return session

    def clean(self):
        for sid in set(self.left):
            status, session = self.api('GET', f'/sessions/{sid}')
            if status == 200:
                self.api('POST', '/stop', {'runtime_id': session['runtime_id']})
        self.left = []


def run(workspace, command, code=0):
    result = workspace.execute_command(command, timeout=30.0)
    assert result.exit_code == code, result
    return result.stdout.strip()


def paused(client, sid):
    client.api('POST', '/pause', {'runtime_id': client.session(sid)['runtime_id']})
    assert client.session(sid)['status'] == 'paused'


@case
def start_run_copy_pause_resume_attach_stop(client):
    sid = session_id()
    begun = time.monotonic()
    workspace = client.workspace(sid, keep=False)
    client.options.measured['connect'] = round(time.monotonic() - begun, 3)
    session = client.session(sid)
    assert (session['kind'], session['status'], session['pod_status']) == ('v1', 'running', 'ready'), session
    assert workspace.host == session['url'] and workspace.api_key == session['session_api_key']
    assert run(workspace, 'echo hello') == 'hello'
    run(workspace, 'exit 3', code=3)
    # The server keeps its keys from what it runs, as it does anywhere.
    assert run(workspace, 'echo "[$OH_SESSION_API_KEYS_0]"') == '[]'
    place = run(workspace, 'mktemp -d')
    source, back = (os.path.join(client.options.scratch, name) for name in ('a file.bin', 'back.bin'))
    content = os.urandom(300_000)
    with open(source, 'wb') as file:
        file.write(content)
    uploaded = workspace.file_upload(source, f'{place}/a file.bin')
    assert uploaded.success and uploaded.file_size == len(content), uploaded
    assert run(workspace, f"wc -c <'{place}/a file.bin'") == str(len(content))
    downloaded = workspace.file_download(f'{place}/a file.bin', back)
    assert downloaded.success, downloaded
    with open(back, 'rb') as file:
        assert file.read() == content
    assert not workspace.file_download(f'{place}/none', back).success
    info = workspace.get_server_info()
    assert info['version'] == '1.58.2', info
    # A pause and a resume keep ids and key, and the workspace's files.
    workspace.pause()
    status = client.session(sid)
    assert (status['status'], status['pod_status']) == ('paused', 'not found'), status
    workspace.resume()
    assert client.session(sid)['session_api_key'] == session['session_api_key']
    assert run(workspace, 'echo resumed') == 'resumed'
    # A second client finds it.
    second = client.workspace(sid)
    assert (second.host, second.api_key) == (workspace.host, workspace.api_key)
    assert run(second, 'echo second') == 'second'
    workspace.cleanup()
    assert client.api('GET', f'/sessions/{sid}')[0] == 404
    # Stopping twice is as good as once.
    assert client.api('POST', '/stop', {'runtime_id': session['runtime_id']})[0] == 200


@case
def a_request_wakes_a_paused_session(client):
    sid = session_id()
    workspace = client.workspace(sid)
    paused(client, sid)
    # What only asks whether it lives does not.
    time.sleep(5.5)
    status, _ = request(f'{workspace.host}/health')
    assert status == 504 or status == 503, status
    assert client.session(sid)['status'] == 'paused'
    assert run(workspace, 'echo awake') == 'awake'
    assert client.session(sid)['status'] == 'running'


@case
def attaching_to_a_paused_session_resumes_it(client):
    sid = session_id()
    first = client.workspace(sid)
    paused(client, sid)
    second = client.workspace(sid)
    assert (second.host, second.api_key) == (first.host, first.api_key)
    assert run(second, 'echo again') == 'again'


@case
def parallel_starts_of_one_id_are_one_session(client):
    sid = session_id()
    workspaces, failures = [], []

    def start():
        try:
            workspaces.append(client.workspace(sid))
        except Exception as error:
            failures.append(causes(error))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len({(workspace.host, workspace.api_key) for workspace in workspaces}) == 1
    for workspace in workspaces:
        assert run(workspace, 'echo one') == 'one'


@case
def two_sessions_have_servers_of_their_own(client):
    one, two = client.workspace(session_id()), client.workspace(session_id())
    assert one.host != two.host and one.api_key != two.api_key
    assert run(one, 'echo one') == 'one' and run(two, 'echo two') == 'two'
    status, _ = request(f'{one.host}/api/conversations', headers={'X-Session-API-Key': two.api_key})
    assert status == 401, status


@case
def a_source_target_is_the_same_server(client):
    workspace = client.workspace(session_id(), target_type='source')
    assert run(workspace, 'echo source') == 'source'


def is_there(workspace, path):
    try:
        return workspace.execute_command(f'test -e {path}', timeout=10.0).exit_code == 0
    except httpx.TransportError:  # The service is not back yet.
        return False


@case
def a_service_that_is_killed_in_the_midst_of_a_command_ends_no_command(client):
    pid_file(client)
    sid = session_id()
    workspace, other = client.workspace(sid), client.workspace(sid)
    place = run(workspace, 'mktemp -d')

    killed = []

    def kill_once_it_runs():
        end = time.monotonic() + 30
        while time.monotonic() < end and not killed:
            if is_there(other, f'{place}/begun'):
                kill_the_service(client)
                killed.append(True)
            time.sleep(0.1)

    killer = threading.Thread(target=kill_once_it_runs, daemon=True)
    killer.start()
    # The client asks ten times a second what its command wrote. A question that nobody answers ends its wait, with an exception where it
    # could not connect; where the service is back between two questions it notices nothing.
    command = f'echo begun >> {place}/begun; sleep 5; echo done >> {place}/done'
    try:
        result = workspace.execute_command(command, timeout=30.0)
        if result.exit_code != 0:
            assert result.exit_code == -1 and result.stderr.startswith('Remote execution error: '), result
    except httpx.TransportError:
        pass
    killer.join(40)
    assert killed, 'the service was not killed'
    # The same client goes on as soon as the service is there, and the command went on without either: it ran once.
    end = time.monotonic() + 20
    while not is_there(workspace, f'{place}/done'):
        assert time.monotonic() < end, 'the command did not end'
        time.sleep(0.2)
    assert run(workspace, f'cat {place}/begun {place}/done') == 'begun\ndone'


@case
def a_bad_key_is_told(client):
    try:
        client.workspace(session_id(), key='no such key')
    except httpx.HTTPStatusError as error:
        assert error.response.status_code == 401 and 'X-API-Key' in error.response.text, error.response.text
    else:
        raise AssertionError('connected with a bad key')


@case
def another_owner_s_session_is_not_there(client):
    sid = session_id()
    client.workspace(sid)
    runtime_id = client.session(sid)['runtime_id']
    other = client.options.other_key
    if other is None:
        raise Skip('no key of another owner was given')
    assert client.api('GET', f'/sessions/{sid}', key=other)[0] == 404
    assert client.api('GET', f'/runtime/{runtime_id}', key=other)[0] == 404
    assert client.api('GET', f'/sessions/batch?ids={sid}', key=other) == (200, [None])
    assert client.api('POST', '/pause', {'runtime_id': runtime_id}, key=other)[0] == 404


@case
def a_bad_image_is_told_in_seconds(client):
    begun = time.monotonic()
    try:
        client.workspace(session_id(), image=client.options.bad_image)
    except httpx.HTTPStatusError as error:
        # On this machine there are no images at all.
        assert error.response.status_code == 422 and 'image' in error.response.text, error.response.text
    except ValueError as error:
        assert 'failed' in str(error), causes(error)
    else:
        raise AssertionError('connected with a bad image')
    assert time.monotonic() - begun < 60


@case
def a_wrong_session_key_is_refused_by_the_server(client):
    workspace = client.workspace(session_id())
    for headers in ({}, {'X-Session-API-Key': 'wrong'}, {'X-API-Key': client.options.key}):
        status, _ = request(f'{workspace.host}/api/conversations', headers=headers)
        assert status == 401, (headers, status)


@case
def a_server_that_is_initialised_later_is_refused_with_the_reason(client):
    body = {
        'image': client.options.image,
        'command': '/usr/local/bin/openhands-agent-server --port 60000',
        'session_id': session_id(),
        'environment': {'OH_DEFERRED_INIT': '1'},
    }
    status, answer = client.api('POST', '/start', body)
    assert status == 422 and 'OH_DEFERRED_INIT' in answer['detail'], answer


@case
def unknown_ids(client):
    assert client.api('GET', f'/sessions/{session_id()}')[0] == 404
    assert client.api('POST', '/resume', {'runtime_id': '0' * 32})[0] == 404
    assert client.api('POST', '/stop', {'runtime_id': '0' * 32})[0] == 200
    assert client.api('GET', '/sessions/batch?ids=a&ids=b') == (200, [None, None])


def main():
    parser = arguments()
    parser.add_argument('--work', help='the working directory; one of the case, where sessions are of this machine')
    run_all(parser.parse_intermixed_args(), Client)


if __name__ == '__main__':
    main()
