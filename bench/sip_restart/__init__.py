"""The SIP source at a server that restarts and forgets all subscriptions: the time until everybody is right again, and the rate of requests.

server.py  the server, which counts SUBSCRIBEs; one process for each of its lives
run.py     an agent on it, and the restart
"""
