"""How long a stock V0 client waits for a session on a cluster, against the same pod by `kubectl run`, in turns in one run; see README.md.

    connect.py URL KEY IMAGE --namespace NAMESPACE [--rounds N] [--audit FILE]

The service has to bring its agent by an image (`agent.image`): what is uploaded after a pod runs, `kubectl run` can't do. `kubectl` is that
of the search path, with its own configuration. A line is printed for each round, and then the medians, in seconds.
"""

import argparse
import asyncio
import calendar
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time

from openhands.runtime.runtime_status import RuntimeStatus
from openhands.utils import http_session

from harness import request, session_id
from v0 import Client


def kubectl(*words, data=None):
    done = subprocess.run(['kubectl', *words], input=data, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


class Pods:
    """When pods became ready, as a watch of the API server tells."""

    def __init__(self, namespace):
        columns = 'NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status'
        self.ready = {}
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            ['kubectl', '-n', namespace, 'get', 'pods', '--watch', '--no-headers', '-o', f'custom-columns={columns}'],
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            now = time.time()
            name, ready = line.split()
            with self.changed:
                if ready == 'True':
                    self.ready.setdefault(name, now)
                self.changed.notify_all()

    def until_ready(self, name):
        with self.changed:
            assert self.changed.wait_for(lambda: name in self.ready, 120), f'{name} is not ready'
            return self.ready[name]


class Observed:
    """When the client's requests were sent and answered, and when the session was ready, asked by somebody else."""

    def __init__(self, options, sid):
        self.options, self.sid = options, sid
        self.at = {}
        self.asked = threading.Event()
        client = http_session._get_client()
        client.event_hooks = {'request': [self.sent], 'response': [self.answered]}
        self.watch = threading.Thread(target=self.until_running, daemon=True)
        self.watch.start()

    @staticmethod
    def name(asked):
        word = asked.url.path.split('/')[1]
        return {'sessions': 'look', 'runtime': 'poll', 'execute_action': 'action'}.get(word, word)

    def sent(self, asked):
        self.at.setdefault(f'{self.name(asked)} sent', time.time())
        if self.name(asked) == 'start':
            self.asked.set()

    def answered(self, answer):
        self.at.setdefault(f'{self.name(answer.request)} answered', time.time())
        self.at[f'{self.name(answer.request)} last'] = time.time()

    def until_running(self):
        # The question is held until the session is ready.
        self.asked.wait(60)
        while 'running' not in self.at:
            status, session = request(f'{self.options.url}/sessions/{self.sid}', headers={'X-API-Key': self.options.key})
            if status == 200 and session['status'] == 'running':
                self.at['running'] = time.time()
            elif status != 200:
                time.sleep(0.01)


def by_the_client(client, pods):
    """A session by the stock client: its parts, and its pod."""
    sid = session_id()
    observed = Observed(client.options, sid)
    at = observed.at

    def told(_kind, status, _message):
        if status == RuntimeStatus.READY:
            at.setdefault('READY', time.time())

    begun = time.time()
    runtime = client.runtime(sid, status_callback=told)
    made = time.time()
    asyncio.run(runtime.connect())
    connected = time.time()
    client.left.append(runtime)
    observed.watch.join(60)
    there = json.loads(kubectl('-n', client.options.namespace, 'get', 'pods', '-o', 'json'))['items']
    (pod,) = (one for one in there if one['metadata'].get('annotations', {}).get('podbay.dev/session-id') == sid)
    parts = {
        'client made': made - begun,
        'session looked for': at['look answered'] - at['look sent'],
        'start to ready': at['running'] - at['start sent'],
        'start to pod asked for': (created_at(client.options, pod['metadata']['name']) or at['start sent']) - at['start sent'],
        'start to pod ready': pods.until_ready(pod['metadata']['name']) - at['start sent'],
        'start answered': at['start answered'] - at['start sent'],
        'ready to READY': at['READY'] - at['running'],
        'READY to connected': connected - at['READY'],
        'connect to READY': at['READY'] - made,
        'connect': connected - made,
    }
    return parts, pod


def by_kubectl(options, pods, pod, number):
    """The same pod by `kubectl run`, with a claim of its own where the session has one: seconds until it is ready."""
    name = f'by-kubectl-{number}'
    spec = {key: value for key, value in pod['spec'].items() if key not in ('nodeName', 'hostname', 'subdomain')}
    spec = json.loads(json.dumps(spec))
    claims = [volume['persistentVolumeClaim'] for volume in spec.get('volumes', []) if 'persistentVolumeClaim' in volume]
    claim = None
    if claims:
        there = json.loads(kubectl('-n', options.namespace, 'get', 'pvc', claims[0]['claimName'], '-o', 'json'))
        wanted = {key: there['spec'][key] for key in ('accessModes', 'resources', 'storageClassName') if key in there['spec']}
        claim = {'apiVersion': 'v1', 'kind': 'PersistentVolumeClaim', 'metadata': {'name': name}, 'spec': wanted}
        claims[0]['claimName'] = name
    # Nothing finds it that looks for sessions.
    overrides = json.dumps({'metadata': {'labels': {'run': name}}, 'spec': spec})
    image = spec['containers'][0]['image']
    begun = time.time()
    if claim is not None:
        kubectl('-n', options.namespace, 'create', '-f', '-', data=json.dumps(claim))
    claimed = time.time()
    kubectl('-n', options.namespace, 'run', name, '--image', image, '--restart', 'Never', '--overrides', overrides)
    ready = pods.until_ready(name)
    parts = {'kubectl run to ready': ready - claimed, 'kubectl claim and run to ready': ready - begun}
    created = created_at(options, name)
    if created is not None:
        parts['pod asked for to ready, by kubectl'] = ready - created
    kubectl('-n', options.namespace, 'delete', 'pod', name, '--wait=false', '--grace-period=1')
    if claim is not None:
        kubectl('-n', options.namespace, 'delete', 'pvc', name, '--wait=false')
    return parts


def created_at(options, name):
    """When the API server was asked for a pod, as its audit log tells."""
    if options.audit is None:
        return None
    with open(options.audit) as log:
        log.seek(max(0, os.path.getsize(options.audit) - (4 << 20)))
        for line in log:
            if f'"name":"{name}"' not in line or '"resource":"pods"' not in line:
                continue
            event = json.loads(line)
            of = event['objectRef']
            if event['verb'] == 'create' and of['namespace'] == options.namespace and 'subresource' not in of:
                stamp = event['requestReceivedTimestamp'].removesuffix('Z')
                whole, _, fraction = stamp.partition('.')
                return calendar.timegm(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) + float(f'0.{fraction or 0}')
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('url')
    parser.add_argument('key')
    parser.add_argument('image')
    parser.add_argument('--namespace', required=True)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--work', default='/workspace')
    parser.add_argument('--audit', help="the API server's audit log, which tells when it was asked for a pod")
    options = parser.parse_args()
    options.server, options.as_root = 'agent', False
    options.scratch = tempfile.mkdtemp(prefix='podbay-connect-')
    client, pods = Client(options), Pods(options.namespace)
    seen = {}
    for number in range(options.rounds + 1):
        parts, pod = by_the_client(client, pods)
        parts |= by_kubectl(options, pods, pod, number)
        client.clean()
        print(number, json.dumps({name: round(value, 3) for name, value in parts.items()}), flush=True)
        # The first of all imports modules, and finds nothing in memory.
        if number > 0:
            for name, value in parts.items():
                seen.setdefault(name, []).append(value)
    for name, values in seen.items():
        values.sort()
        print(f'{name}: median {statistics.median(values):.3f}, least {values[0]:.3f}, most {values[-1]:.3f}')
    for other in [name for name in seen if 'kubectl' in name]:
        less = [one - two for one, two in zip(seen['start to ready'], seen[other], strict=True)]
        print(f'start to ready less {other}: median {statistics.median(less):.3f}')
    pods.process.kill()
    os._exit(0)


if __name__ == '__main__':
    main()
