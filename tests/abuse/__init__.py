"""Attacks on the relay, each as its attacker would carry it out: over a socket, with or without a key.

Each test says what the attacker does, that memory and time stay within `docs/limits.md`, and that others are served meanwhile.
The marker `finding(n)` tells which weakness it once showed:

     1  any employee of a connected organisation could become its administrator
     2  trailers of HTTP requests filled memory and kept the event loop busy
     3  the edge had no limits before a suite key was shown
     4  one suite key could slow the relay for every tenant
     5  a start could hold gigabytes of names
     6  silent connections kept everybody from the pages and the webhook
     7  anybody could sign up, and an operator's removal did not last
     8  limits were looked at after the work was done
     9  sign-in could be locked for everybody
    10  every role had all rights in Redis, and writing to Redis made suite keys
    11  revoking an old key again and again kept Redis busy
    12  a suite key made by the wizard had no author and no limit
    13  junk requests filled the log
    14  a signing key's issuer was not compared with the tenant of an id token
    15  the development Valkey was open to every local user
    16  private files that others can read were used without a word
    17  Redis passwords could travel in the clear
    18  anybody with the public key could write a backup that `restore` took
    19  resume tokens showed the store's replication id
    20  leaving read the whole log into memory, and an export had no pace
"""
