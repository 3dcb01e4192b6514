"""Connections to Redis, and what every other package of the store needs.

connection.py    The store: what runs on which connection, and whether the servers can be trusted
address.py       The URL of Redis in its parts: one server, a service of Sentinel, a cluster
topology.py      Which servers have what: the one place that knows how many Redis servers there are
servers.py       The servers behind one URL, and where a command is repeated that one of them refused
sentinel.py      The primary that sentinels name
election.py      Which of their answers is in force
cluster.py       The primaries of a cluster, by slots
slots.py         What nodes of a cluster say of its slots, and what most of them say
refresher.py     A question that is asked once a second, and at once when there is need
dividing.py      Commands for several nodes at once, divided by node
node.py          One Redis server and all connections to it, made anew when it is no primary any more
durable.py       Writes that are on disk when they are confirmed
blocking.py      Blocking reads of streams, which another connection can wake
tracking.py      Reads of streams of many slots over one connection to a node of a cluster
pipelining.py    A store for reading much at once: what several tasks ask in one turn of the event loop travels together
scripting.py     Lua scripts, their headers, and their calls by name
keys.py          Every key in Redis, and which partition a tenant is in
layout.py        Who may touch which keys: a row for each kind of key, and what each role does with it
acl.py           Redis users: for each role an ACL made of the layout of keys and of the scripts that it runs
user_rights.py   What a Redis user may do, asked of the server without doing it
forbidden.py     What a Redis user may not do, logged once a minute in an operator's words
redis_errors.py  The relay's errors for Redis' error codes and for lines that break
inspection.py    What is wrong with sentinels, nodes of a cluster and replicas, for operators
data_layout.py   The version of the data, and who may not use it
preflight.py     Whether a server can be trusted with what the relay keeps in it, before the start
statistics.py    How often commands and scripts ran, with which outcome, and how long they took, for metrics
health.py        Whether the store can be worked with at present, checked once a second
"""
