"""Two Ray nodes of one core each on this machine, until standard input ends.

Prints a line of JSON: the address, and the process of the second node's raylet. A process of its
own, because Ray leaves things open.
"""

import json
import sys

from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
node = cluster.add_node(num_cpus=1)
raylet = node.all_processes["raylet"][0].process.pid
print(json.dumps({"address": cluster.address, "raylet": raylet}), flush=True)  # noqa: T201
for _ in sys.stdin:
    # Another node, in place of one that was killed.
    node = cluster.add_node(num_cpus=1)
    raylet = node.all_processes["raylet"][0].process.pid
    print(json.dumps({"address": cluster.address, "raylet": raylet}), flush=True)  # noqa: T201
cluster.shutdown()
