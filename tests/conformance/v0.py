"""The unmodified RemoteRuntime of openhands-ai 1.6.0 against a running `podbay serve`; see README.md."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import zipfile

os.environ.setdefault('LOG_LEVEL', 'ERROR')
# Nothing that a person has configured for OpenHands is meant for this.
for name in [name for name in os.environ if name.startswith(('SANDBOX_', 'RUNTIME', 'KUBERNETES_'))]:
    del os.environ[name]

from openhands.core.config import OpenHandsConfig  # noqa: E402
from openhands.core.exceptions import AgentRuntimeUnavailableError  # noqa: E402
from openhands.core.logger import openhands_logger  # noqa: E402
from openhands.events import EventStream  # noqa: E402
from openhands.events.action import CmdRunAction, FileReadAction, FileWriteAction, IPythonRunCellAction  # noqa: E402
from openhands.llm.llm_registry import LLMRegistry  # noqa: E402
from openhands.runtime import get_runtime_cls  # noqa: E402
from openhands.runtime.runtime_status import RuntimeStatus  # noqa: E402
from openhands.storage import get_file_store  # noqa: E402

from harness import Skip, arguments, case, causes, kill_the_service, pid_file, request, run_all, session_id  # noqa: E402

openhands_logger.setLevel('CRITICAL')
# Who serves: set once, by `--server`.
SERVER = 'agent'


class Client:
    """A stock client, and what the cases ask of the API beside it."""

    def __init__(self, options):
        self.options = options
        self.left = []

    def runtime(self, sid, *, key=None, image=None, attach=False, keep=False, env=None, status_callback=None):
        config = OpenHandsConfig()
        config.runtime = 'remote'
        config.run_as_openhands = not self.options.as_root
        config.enable_browser = self.options.server == 'agent'
        config.workspace_mount_path_in_sandbox = self.options.work
        config.sandbox.api_key = key or self.options.key
        config.sandbox.remote_runtime_api_url = self.options.url
        config.sandbox.runtime_container_image = image or self.options.image
        config.sandbox.keep_runtime_alive = keep
        config.sandbox.runtime_startup_env_vars = env or {}
        store = get_file_store('local', tempfile.mkdtemp(dir=self.options.scratch))
        return get_runtime_cls('remote')(
            config=config,
            event_stream=EventStream(sid, store),
            llm_registry=LLMRegistry(config),
            sid=sid,
            attach_to_existing=attach,
            status_callback=status_callback,
        )

    def connected(self, sid, **options):
        runtime = self.runtime(sid, **options)
        asyncio.run(runtime.connect())
        self.left.append(runtime)
        return runtime

    def api(self, method, path, body=None, key=None):
        return request(self.options.url + path, method, body, {'X-API-Key': key or self.options.key})

    def clean(self):
        for runtime in self.left:
            if runtime.runtime_id is not None:
                self.api('POST', '/stop', {'runtime_id': runtime.runtime_id})
        self.left = []


def run(runtime, command, code=0):
    # Under load the stock server can take an old prompt for the end of a command: then it answers at once, with nothing, and the code of the
    # command before.
    for _ in range(3 if SERVER == 'image' else 1):
        observation = runtime.run(CmdRunAction(command))
        if getattr(observation, 'exit_code', None) == code and observation.content:
            break
    assert getattr(observation, 'exit_code', None) == code, observation
    return observation.content


@case
def start_run_copy_close(client):
    sid = session_id()
    begun = time.monotonic()
    runtime = client.connected(sid, env={'FROM_CLIENT': 'a $(b) ${c}'})
    client.options.measured['connect'] = round(time.monotonic() - begun, 3)
    assert runtime.runtime_status == RuntimeStatus.READY
    assert len(runtime.runtime_id) == 32, runtime.runtime_id
    assert sorted(runtime.web_hosts.values()) == [12000, 12001], runtime.web_hosts
    assert run(runtime, 'echo hello') == 'hello'
    assert run(runtime, 'echo $((6 * 7)); false; echo $?') == '42\n1'
    assert run(runtime, 'exit_code() { return 3; }; exit_code', code=3) == ''
    # The shell stays.
    run(runtime, 'cd /tmp && export STAYS=yes')
    assert run(runtime, 'pwd; echo $STAYS') == '/tmp\nyes'
    if client.options.server == 'agent':
        # No key of a session is in the environment of commands.
        assert run(runtime, 'env | grep -c SESSION_API_KEY', code=1) == '0'
    place = run(runtime, 'mktemp -d')
    source = os.path.join(client.options.scratch, 'a file.bin')
    content = os.urandom(300_000)
    with open(source, 'wb') as file:
        file.write(content)
    runtime.copy_to(source, place)
    assert runtime.list_files(place) == ['a file.bin'], runtime.list_files(place)
    tree = os.path.join(client.options.scratch, 'tree')
    os.makedirs(os.path.join(tree, 'below'))
    with open(os.path.join(tree, 'below', 'x'), 'w') as file:
        file.write('x')
    runtime.copy_to(tree, place, recursive=True)
    assert run(runtime, f'cat {place}/tree/below/x') == 'x'
    with zipfile.ZipFile(runtime.copy_from(place)) as archive:
        assert archive.read('a file.bin') == content
    written = runtime.write(FileWriteAction(path=f'{place}/new.txt', content='one\ntwo'))
    assert written.observation == 'write', written
    read = runtime.read(FileReadAction(path=f'{place}/new.txt'))
    assert read.content.strip() == 'one\ntwo', read
    runtime.close()
    status, _ = client.api('GET', f'/sessions/{sid}')
    assert status == 404, status


@case
def python_cells(client):
    if client.options.server == 'image':
        raise Skip('the server has Jupyter as a plugin, which only its own image has')
    runtime = client.connected(session_id())
    runtime.run_ipython(IPythonRunCellAction(code='x = 6'))
    observation = runtime.run_ipython(IPythonRunCellAction(code='print(x * 7)'))
    assert '42' in observation.content, observation


@case
def a_second_client_attaches(client):
    sid = session_id()
    first = client.connected(sid)
    run(first, 'echo kept > /tmp/kept-$$; export SHARED=1')
    second = client.connected(sid, attach=True)
    assert (second.runtime_id, second.runtime_url, second.session_api_key) == (
        first.runtime_id,
        first.runtime_url,
        first.session_api_key,
    )
    # One shell for all clients of a session, as with the stock server.
    assert run(second, 'echo $SHARED') == '1'
    second.close()
    assert run(first, 'echo still here') == 'still here'
    # A client that does not attach finds it, too.
    third = client.connected(sid)
    assert third.runtime_id == first.runtime_id


@case
def attaching_to_nothing_is_not_found(client):
    try:
        client.connected(session_id(), attach=True)
    except Exception as error:
        assert type(error).__name__ == 'AgentRuntimeNotFoundError', causes(error)
    else:
        raise AssertionError('attached to nothing')


@case
def pause_and_resume(client):
    sid = session_id()
    first = client.connected(sid, keep=True)
    work = run(first, 'pwd')
    run(first, f'echo kept > {work}/kept')
    key, runtime_id, url = first.session_api_key, first.runtime_id, first.runtime_url
    first.close()
    status, session = client.api('GET', f'/sessions/{sid}')
    assert (status, session['status'], session['pod_status']) == (200, 'paused', 'not found'), session
    assert session['url'] == url and session['session_api_key'] == key
    _, listed = client.api('GET', '/list')
    assert sid not in [one['session_id'] for one in listed['runtimes']], listed
    # Pausing twice is as good as once.
    assert client.api('POST', '/pause', {'runtime_id': runtime_id})[0] == 200
    second = client.connected(sid, keep=True)
    assert (second.runtime_id, second.session_api_key, second.runtime_url) == (runtime_id, key, url)
    assert run(second, f'cat {work}/kept') == 'kept'
    # So is resuming.
    assert client.api('POST', '/resume', {'runtime_id': runtime_id})[0] == 200


@case
def run_wakes_a_paused_session(client):
    sid = session_id()
    runtime = client.connected(sid, keep=True)
    work = run(runtime, 'pwd')
    run(runtime, f'echo kept > {work}/kept')
    status, _ = client.api('POST', '/pause', {'runtime_id': runtime.runtime_id})
    assert status == 200
    # Right after a pause nothing wakes.
    time.sleep(5.5)
    assert run(runtime, f'cat {work}/kept') == 'kept'
    status, session = client.api('GET', f'/sessions/{sid}')
    assert session['status'] == 'running', session


@case
def list_files_and_copy_to_wake_a_paused_session(client):
    runtime = client.connected(session_id(), keep=True)
    place = run(runtime, 'pwd')
    source = os.path.join(client.options.scratch, 'small')
    with open(source, 'w') as file:
        file.write('small')
    for wake in (lambda: runtime.list_files(place), lambda: runtime.copy_to(source, place)):
        assert client.api('POST', '/pause', {'runtime_id': runtime.runtime_id})[0] == 200
        time.sleep(5.5)
        wake()
    assert runtime.list_files(place) == ['small']


@case
def parallel_starts_of_one_id_are_one_session(client):
    sid = session_id()
    runtimes, failures = [], []

    def connect():
        try:
            runtimes.append(client.connected(sid))
        except Exception as error:
            failures.append(causes(error))

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len({(runtime.runtime_id, runtime.session_api_key) for runtime in runtimes}) == 1


@case
def one_id_of_two_owners_is_two_sessions(client):
    other_key = client.options.other_key
    if other_key is None:
        raise Skip('no key of another owner was given')
    sid = session_id()
    mine, other = client.connected(sid), client.connected(sid, key=other_key)
    try:
        assert mine.runtime_id != other.runtime_id and mine.session_api_key != other.session_api_key
        run(mine, 'export WHOSE=mine')
        assert run(other, 'echo "[$WHOSE]"') == '[]'
        for path in (f'/runtime/{mine.runtime_id}',):
            assert client.api('GET', path, key=other_key)[0] == 404
        for path in ('/pause', '/resume'):
            assert client.api('POST', path, {'runtime_id': mine.runtime_id}, key=other_key)[0] == 404
        # One that may not be seen is as good as stopped, and is not.
        assert client.api('POST', '/stop', {'runtime_id': mine.runtime_id}, key=other_key)[0] == 200
        assert run(mine, 'echo $WHOSE') == 'mine'
        _, listed = client.api('GET', '/list', key=other_key)
        assert [one['runtime_id'] for one in listed['runtimes']] == [other.runtime_id], listed
    finally:
        client.api('POST', '/stop', {'runtime_id': other.runtime_id}, key=other_key)


@case
def a_service_that_is_killed_in_the_midst_of_a_command_is_not_noticed(client):
    pid_file(client)
    runtime = client.connected(session_id())
    place = run(runtime, 'mktemp -d')
    killed = threading.Timer(2, lambda: kill_the_service(client))
    killed.start()
    # The client asks again, and finds the command that runs: it runs once.
    assert run(runtime, f'echo begun >> {place}/begun; sleep 5; echo done') == 'done'
    killed.join()
    assert run(runtime, f'cat {place}/begun') == 'begun'


@case
def a_key_is_replaced(client):
    keys, other_key = client.options.keys_file, client.options.other_key
    if keys is None or other_key is None:
        raise Skip('which keys there are is not known: no --keys-file')
    sid = session_id()
    old = client.connected(sid, key=other_key)
    run(old, 'export STAYS=yes')
    with open(keys) as file:
        before = file.read()
    new_key = 'the new key of the other owner'
    (entry,) = json.loads(before)
    entry |= {'name': 'new', 'sha256': hashlib.sha256(new_key.encode()).hexdigest()}
    try:
        start_with_keys(client, json.dumps([entry]))
        try:
            client.connected(sid, key=other_key)
        except Exception as error:
            assert '401' in causes(error), causes(error)
        else:
            raise AssertionError('connected with a key that was replaced')
        # What is there already goes on, and the new key finds it.
        assert run(old, 'echo $STAYS') == 'yes'
        new = client.connected(sid, key=new_key)
        assert (new.runtime_id, new.session_api_key) == (old.runtime_id, old.session_api_key)
        assert run(new, 'echo $STAYS') == 'yes'
        assert client.api('POST', '/stop', {'runtime_id': new.runtime_id}, key=new_key)[0] == 200
    finally:
        start_with_keys(client, before)


def start_with_keys(client, keys):
    """Has the service started again with other keys."""
    with open(client.options.keys_file, 'w') as file:
        file.write(keys)
    kill_the_service(client)
    end = time.monotonic() + 20
    while True:
        try:
            if request(f'{client.options.url}/ready', timeout=5)[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < end, 'the service is not started again'
        time.sleep(0.1)


@case
def a_sandbox_that_is_killed_comes_back_on_its_workspace(client):
    sid = session_id()
    runtime = client.connected(sid, keep=True)
    work = run(runtime, 'pwd')
    run(runtime, f'export OLD=yes; echo kept > {work}/kept')
    kill_the_sandbox(client, runtime, sid)
    begun = time.monotonic()
    try:
        answered = run(runtime, 'echo "[$OLD]"')
    except Exception as error:
        # The agent of this machine stays dead until somebody starts the session again: the client is told.
        assert type(error).__name__ == 'AgentRuntimeDisconnectedError', causes(error)
        status, session = client.api('GET', f'/sessions/{sid}')
        assert (status, session['status']) == (200, 'error') and session['status_detail'], session
    else:
        # A pod that was deleted is made again, and the request is held until its agent answers.
        assert answered == '[]' and client.options.namespace is not None, answered
    assert time.monotonic() - begun < 60
    again = client.connected(sid, keep=True)
    assert (again.runtime_id, again.session_api_key) == (runtime.runtime_id, runtime.session_api_key)
    assert run(again, f'cat {work}/kept') == 'kept'


def kill_the_sandbox(client, runtime, sid):
    if client.options.namespace is None:
        # The agent of a session of this machine is above its shell.
        pid, agent = int(run(runtime, 'echo $$')), None
        while pid > 1:
            with open(f'/proc/{pid}/cmdline') as file:
                if file.read().split('\0')[0].endswith('podbay-agent'):
                    agent = pid
            with open(f'/proc/{pid}/status') as file:
                pid = int(next(line for line in file if line.startswith('PPid:')).split()[1])
        os.kill(agent, signal.SIGKILL)
        return
    kubectl = ['kubectl', '-n', client.options.namespace]
    pods = json.loads(subprocess.run([*kubectl, 'get', 'pods', '-o', 'json'], check=True, capture_output=True).stdout)['items']
    (name,) = (pod['metadata']['name'] for pod in pods if pod['metadata']['annotations'].get('podbay.dev/session-id') == sid)
    subprocess.run([*kubectl, 'delete', 'pod', name, '--grace-period=1'], check=True, capture_output=True)


@case
def a_bad_key_is_told(client):
    try:
        client.connected(session_id(), key='no such key')
    except Exception as error:
        assert 'X-API-Key' in causes(error) and '401' in causes(error), causes(error)
    else:
        raise AssertionError('connected with a bad key')


@case
def a_bad_image_is_told_in_seconds(client):
    begun = time.monotonic()
    image = client.options.bad_image
    runtime = client.runtime(session_id(), image=image)
    try:
        asyncio.run(runtime.connect())
    except Exception as error:
        told = causes(error)
        client.options.measured['bad_image'] = round(time.monotonic() - begun, 3)
        assert 'image' in told and image.split('/')[-1].split(':')[0] in told, told
    else:
        raise AssertionError('connected with a bad image')
    finally:
        client.left.append(runtime)
    assert time.monotonic() - begun < 30


@case
def unknown_and_null_ids(client):
    assert client.api('GET', f'/sessions/{session_id()}')[0] == 404
    assert client.api('GET', '/sessions/None')[0] == 404
    for unknown in ('None', 'null', '0' * 32):
        assert client.api('GET', f'/runtime/{unknown}')[0] == 404
        assert client.api('POST', '/stop', {'runtime_id': unknown})[0] == 200
        assert client.api('POST', '/resume', {'runtime_id': unknown})[0] == 404
    assert client.api('POST', '/stop', {'runtime_id': None})[0] == 200
    # One that names nothing is no stop of nothing: it may have meant something.
    assert client.api('POST', '/stop', {})[0] == 422
    assert client.api('POST', '/pause', {'runtime_id': None})[0] == 404
    assert client.api('POST', '/start', {'image': 7})[0] == 422
    assert client.api('GET', '/sessions/batch?ids=a&ids=b') == (200, [None, None])
    assert client.api('POST', '/build', {})[0] == 501
    assert client.api('GET', '/api/warm-runtime-configs') == (200, {'configs': []})


@case
def the_url_of_a_stopped_session_keeps_answering(client):
    runtime = client.connected(session_id())
    client.api('POST', '/stop', {'runtime_id': runtime.runtime_id})
    begun = time.monotonic()
    try:
        run(runtime, 'echo never')
    except Exception as error:
        assert type(error).__name__ == 'AgentRuntimeDisconnectedError', causes(error)
    else:
        raise AssertionError('a stopped session ran a command')
    assert time.monotonic() - begun < 10


@case
def a_wrong_session_key_is_refused(client):
    runtime = client.connected(session_id())
    headers = {'X-Session-API-Key': 'wrong'}
    status, _ = request(f'{runtime.runtime_url}/list_files', 'POST', {}, headers, timeout=10)
    assert status in (401, 403), status


def main():
    parser = arguments()
    parser.add_argument('--namespace', help='of the pods, which `kubectl` of the search path deletes')
    parser.add_argument('--work', default='/workspace')
    parser.add_argument('--server', choices=('agent', 'image'), default='agent', help='who serves: what `serve.v0_server` says')
    parser.add_argument('--as-root', action='store_true', help='commands are run by root, and not by OpenHands\' own user')
    options = parser.parse_intermixed_args()
    global SERVER
    SERVER = options.server
    run_all(options, Client)


if __name__ == '__main__':
    main()
