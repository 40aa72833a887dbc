"""Run a Ray cluster on this machine, as lines of JSON on standard input say; each is answered by one.

{"add": {...}}       another node → {"node": its name, "address": the cluster's, "pid": of its raylet}. Fields are
                     Ray's, and `ip`, its address, and `namespace`, of the network in which it lives
{"kill": name}       end the processes of a node by SIGKILL → {}
{"kill head": true}  end all processes of the head by SIGKILL → {}
The end of the input ends all nodes.
"""

import ctypes
import json
import os
import signal
import sys

import psutil
from ray.cluster_utils import Cluster

CLONE_NEWNET = 0x40000000


def enter(namespace):
    """Enter a network namespace by an open file; what is started from now on is in it."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def kill(node, kinds=None):
    """End processes of a node."""
    for kind, processes in node.all_processes.items():
        for process in processes if kinds is None or kind in kinds else ():
            os.kill(process.process.pid, signal.SIGKILL)
            psutil.Process(process.process.pid).wait()


def main() -> None:
    """Obey until the input ends."""
    cluster, nodes = Cluster(), {}
    for line in sys.stdin:
        order = json.loads(line)
        answer = {}
        if "add" in order:
            fields = {"num_cpus": 4, "object_store_memory": 80 << 20, "include_dashboard": False, **order["add"]}
            namespace = fields.pop("namespace", None)
            if namespace:
                own = open("/proc/self/ns/net")
                enter(open(f"/var/run/netns/{namespace}"))
            node = cluster.add_node(node_ip_address=fields.pop("ip", "127.0.0.1"), wait=not namespace, **fields)
            if namespace:
                enter(own)
            nodes[node.node_id] = node
            (raylet,) = node.all_processes["raylet"]
            answer = {"node": node.node_id, "address": cluster.address, "pid": raylet.process.pid}
        elif "kill" in order:
            kill(nodes.pop(order["kill"]), ("raylet",))
        elif "kill head" in order:
            kill(cluster.head_node)
        print(json.dumps(answer), flush=True)
    cluster.shutdown()


main()
