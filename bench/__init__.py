"""Benchmarks of the relay, each compared with something similar on the same machine.

    fanout        deliveries per CPU second, compared with nats-server
    telemetry     the CPU that metrics cost an edge, compared with an edge without telemetry
    poll          the CPU of reading a page, compared with the HTTP call and the decoding alone
    webhook       how fast notifications are answered and decrypted, compared with the cryptography alone
    emulator      the CPU of a bulk read in the local Microsoft cloud, compared with a bare server
    cancelled     the memory that an edge retains after streams were cancelled, half of them in a blocked write
    scale         100,000 watched users of 200 tenants: gaps between reads, and the time to resume
    answer        the time until a newly watched user is answered, and until a change is shown
    abuse         one tenant floods the relay with names: how fresh a quiet tenant stays
    slow-token    one tenant's token endpoint is slow: the cost for the others
    fairness      one tenant is large, failing, or always changing: how fresh small tenants stay
    takeover      the time until another worker owns and reads everything, by distance to Redis
    agent         the time from a change at the relay to the last of 50 consoles of an agent, compared with bare Starlette
    phones        the time from a change to the last NOTIFY of 50 phones with a list of 100, compared with bare writes
    sip-restart   a SIP server restarts: the time until the agent has 10,000 users right again, and the rate of its requests
    workers       the users that one, two and four workers read, and the CPU of each read
    push-latency  the time until a change that Graph notifies at once is shown, at 200 changes a second
    push-day      a day of 2,000 users with notifications: requests and ages, compared with polling
    push-trouble  lost notifications for eight hours, and a subscription without notifications

push-day and push-trouble run with a faster clock (`--speed`), which needs Debian's faketime.

    commands.py   the benchmarks of the command line, with their arguments
    processes.py  child processes that end with their parent, and their CPU
    report.py     tables for people, one line of JSON for machines
    faster.py     a faster clock for this process and its children
    fanout/, poll/, webhook/, emulator/, fairness/, takeover/, cancelled/, telemetry/, phones/, workers/   the code of the benchmark of the same name
    sip_restart/  sip-restart
    load/         scale, answer, abuse and slow-token: a whole relay at work
    push/         push-latency, push-day and push-trouble

Everything runs on loopback, in processes that end with the one that started them. Each benchmark prints tables and ends with
one line of JSON: the measurements, the conditions, and whether each is met. The exit code is 1 if one is not met.
"""
