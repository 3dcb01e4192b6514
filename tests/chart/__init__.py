"""The Helm chart, without a cluster: rendered by the engines of Helm 3 and Helm 4, and compared with Kubernetes' schemas and with rules.

    engine.py             renders the chart, by one process with both engines
    values.py             reads values.yaml with its comments, and writes templates/_paths.tpl
    schema.py             makes values.schema.json of values.yaml and of the relay's settings
    structures.py         the parts of values.schema.json that are Kubernetes' own
    readme.py             makes the table of values in the chart's README
    pods.py               what a pod mounts and its environment, on this machine
    examples.py           the examples in the chart's folder `values`, each rendered once
    kubernetes.py         compares objects with the schemas of a Kubernetes version, and with CRD files
    policies.py           runs trivy and checkov over the snapshots, with the exceptions and their reasons
    snapshots.py          writes the snapshots
    snapshots/            what each example becomes, so that a review sees what a change does; `make chart-snapshots` writes them

`tests/cluster` is about a real cluster.
"""
