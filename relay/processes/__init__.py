"""Several edges on one port of one machine, for operators without Kubernetes: `presence-relay serve edge --processes N`.

    run.py          puts supervisor, port and ops port together
    supervisor.py   keeps the processes running, and stops them cleanly
    restarts.py     decides when a process that has ended is started again (pure)
    child.py        one process: starts it, queries it, stops it
    ops_port.py     readiness and metrics of all processes together

                      supervisor ── ops port: /livez, /readyz, /metrics
            stdin, ops socket │
              ┌───────────────┼───────────────┐
          process 1       process 2       process 3     each a whole edge: own connections to Redis, own limits
              └───── SO_REUSEPORT, one port ──┘
                              ▲
                           suites: Linux spreads new connections by a hash of their addresses

A process is a command of its own (`presence-relay edge-process`), because gRPC does not work after a fork. Its standard
input is a pipe from the supervisor to which nothing is ever written: the process stops when the pipe closes, also when
the supervisor was killed. So no edge outlives its supervisor, and a signal that reaches supervisor and processes alike
(Ctrl-C, systemd's SIGTERM) stops each of them once.
"""
