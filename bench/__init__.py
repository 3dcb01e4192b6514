"""Benchmarks of the relay, each beside something comparable that runs on the same machine.

    fanout        deliveries per CPU second, beside nats-server
    telemetry     the CPU that metrics cost an edge, beside an edge that counts nothing
    poll          the CPU of reading a page, compared with the HTTP call and the decoding alone
    webhook       how fast notifications are answered and opened, beside the cryptography alone
    emulator      the CPU of a bulk read in the local Microsoft cloud, beside a bare server
    cancelled     the memory that an edge keeps of streams that were cancelled, half of them in a blocked write
    scale         100,000 watched users of 200 tenants: gaps between reads, and the time to resume
    answer        the time until a newly watched user is answered, and until a change is shown
    abuse         one tenant floods the relay with names: how fresh a quiet tenant stays
    slow-token    one tenant's token endpoint is slow: the cost for the others
    fairness      one tenant is large, failing, or always changing: how fresh small tenants stay
    takeover      the time until another worker owns and reads everything, by distance to Redis
    agent         the time from a change at the relay to the last of 50 consoles of an agent, beside bare Starlette
    phones        the time from a change to the last NOTIFY of 50 phones with a list of 100, beside bare writes
    sip-restart   a SIP server that restarts: the time until the agent is right of 10,000 users, and the rate of its requests
    workers       the users that one, two and four workers read, and the CPU of each read
    push-latency  the time until a change that Graph announces at once is shown, at 200 a second
    push-day      a day of 2,000 users with notifications: requests and ages, beside polling
    push-trouble  lost notifications for eight hours, and notifications that fall silent

push-day and push-trouble run by a faster clock (`--speed`), for which Debian's faketime is needed.

    commands.py   the benchmarks of the command line, with their arguments
    processes.py  child processes that end with their parent, and the CPU that they use
    report.py     tables for people, one line of JSON for machines
    faster.py     a faster clock for this process and all that it starts
    fanout/, poll/, webhook/, emulator/, fairness/, takeover/, cancelled/, telemetry/, phones/, workers/   the code of the benchmark of that name
    sip_restart/  sip-restart
    load/         scale, answer, abuse and slow-token: a whole relay at work
    push/         push-latency, push-day and push-trouble

Everything runs on loopback, in processes that end with the one that started them. Each benchmark prints tables and ends with
one line of JSON: the measurements, the conditions, and whether each is met. The exit code is 1 if one is not met.
"""
