"""The SIP source at a server that restarts and loses all subscriptions: the time until all users are right again, and the request rate.

server.py  the server, which counts SUBSCRIBEs; each start is a new process
run.py     an agent on it, and the restart
"""
