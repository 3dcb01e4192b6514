"""Connections to Redis, and the modules that all other packages of the store need.

connection.py    The store: runs commands and scripts, and checks whether the servers can be trusted
address.py       The URL of Redis in its parts: one server, a service of Sentinel, a cluster
topology.py      The location of keys: the only module that knows how many Redis servers there are
servers.py       The servers behind one URL, and where a refused command is repeated
sentinel.py      The primary that the sentinels report
election.py      The choice of a primary from the answers of several sentinels
cluster.py       The primaries of a cluster, by slots
slots.py         The slots of a cluster, as most of its nodes report them
refresher.py     A query that runs once a second, and at once when needed
dividing.py      Commands for several nodes at once, divided by node
node.py          One Redis server and all connections to it, which are replaced when it is no longer primary
durable.py       Writes that are on disk when they are confirmed
blocking.py      Blocking reads of streams, which another connection can wake
tracking.py      Reads of streams of many slots over one connection to a node of a cluster
pipelining.py    A store for many concurrent reads: commands from one turn of the event loop share a round trip
scripting.py     Lua scripts, their headers, and their calls by name
keys.py          Every key in Redis, and the partition of a tenant
layout.py        The rights on keys: a row for each kind of key, with the rights of each role
acl.py           Redis users: for each role an ACL, made from the layout of keys and from the scripts that it runs
user_rights.py   The rights of a Redis user, read from the server without using them
forbidden.py     Missing rights of a Redis user, logged for operators once a minute
redis_errors.py  The relay's errors for Redis' error codes and for broken connections
inspection.py    Faults of sentinels, cluster nodes and replicas, for operators
data_layout.py   The version of the data, and which releases may use it
preflight.py     Whether a server can be trusted with the relay's data, checked before the start
statistics.py    Number, outcome and duration of commands and scripts
metrics.py       Metrics of the store
spans.py         Spans of commands and scripts
health.py        Whether the store can be used at present, checked once a second
"""
