"""Measurements of the relay, each against something that runs beside it.

    fanout       deliveries per CPU second, beside nats-server
    poll         CPU of a page, beside the HTTP call and the decoding alone
    webhook      how soon notifications are answered, and how fast they are opened, beside the cryptography alone
    emulator     CPU of a bulk read in the local Microsoft cloud, beside a bare server
    scale        100,000 watched users of 200 tenants on one machine: how long a user goes unread, how fast a suite resumes
    answer       how soon a newly watched user is answered, and how soon a change is seen
    abuse        one tenant floods the relay with names: are a quiet tenant's changes as fresh as before?
    slow-token   one tenant's token endpoint is slow: does it cost the others anything?
    push-latency how soon a change that Graph announces at once is shown, 200 a second
    push-day     a day of 2,000 users with notifications: requests and ages beside polling; by a faster clock, see `bench.push`
    push-trouble lost notifications for eight hours, and notifications that fall silent; by a faster clock too

    load/         the processes, worlds and suites of scale, answer, abuse and slow-token
    push/         push-latency, push-day and push-trouble
    takeover/     how soon partitions have an owner that reads
    faster.py     a clock that goes faster, for a process and all that it starts
    processes.py  child processes that end with their parent, and what they cost
    report.py     tables for people, one JSON line for machines

Everything runs on loopback, in processes that end with the one that started them. Each command prints tables and ends with
one JSON line: what was measured, what must hold, and whether it does.
"""
