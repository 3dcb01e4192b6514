"""The chart in a real cluster, the one that `KUBECONFIG` names. Skipped without.

    KUBECONFIG=… RELAY_TEST_IMAGE=registry.example.com/presence-relay:0.1.0 RELAY_TEST_REDIS_URL=redis://10.0.0.5:6379/0 \\
        python -m pytest tests/cluster

It needs an API server, one node that can pull the image, and a Redis or Valkey that both pods and this machine reach: no DNS, no routing of Services,
no controllers of gateways, cert-manager or KEDA. It talks to pods through the API server's port-forward. The namespace is its own, under Pod Security
`restricted`, and is deleted at the end.

    cluster.py   the API, the namespace and the release
    suite.py     a suite that moves from pod to pod and misses nothing; `tests/edge/test_rolled_edges.py` tries it without a cluster
"""
