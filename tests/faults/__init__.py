"""Faults that the product once had, found by trying it hard. The marker `fault(id, ...)` on a test tells which one it holds off.

Many of these tests stand beside others of the same subject; `pytest -m fault` runs them all. This folder has those whose subject is a
fault itself: lines that break, a process or a cloud in trouble.

V: under seeded faults of processes, Valkey and the network

    V1   a connection to Graph that was reset while TLS began aborted the whole process
    V2   a connection to Valkey that was reset ended a worker
    V3   a change was lost when suites of a tenant began at the same time
    V4   what a worker believed and what the store had parted for good
    V5   a user was watched and never read
    V6   a Valkey without memory ended every worker
    V7   a takeover called old presence fresh
    V8   whoever joined an edge first was told that old presence is fresh
    V9   a worker without a lease went on at Microsoft
    V11  taking partitions over took longer with each millisecond to the store
    V12  start-up while writes are refused, readiness, resuming together, stopping in order, and what the log says of partitions
    V13  a command on its way to a server that another one replaced ended the process

F: with Microsoft's own clients, schema and pages (the local cloud; F6 is the relay's)

    F1   tokens lacked the scopes granted before
    F2   no permission could be asked for that was not registered
    F3   `userinfo` was advertised and not there
    F4   properties of users that exist were said not to
    F5   errors named the wrong segment, and `delta` was taken for a user
    F6   Away with BeRightBack lost "be right back"
    F7   a subscription's end changed between reads
    F8   `/organization` knew too few permissions
    F9   id tokens did not follow the scopes
    F10  logout did not send the browser back
    F11  one's own status message had no `publishedDateTime`
    F12  trifles of errors, content types and collections

L: with suites in other languages, written from the documents alone

    L1   a drain could not be followed on one channel
    L2   streams ended with CANCELLED when an edge stopped
    L3   a user's UPN went empty and stayed so
    L4   a suspended organisation had no status of its own
    L5   dead streams kept the places of new ones
    L6   somebody new stayed unknown for 15 minutes
    L7   gRPC-Web was offered and not there
    L8   too many pings were in no table
    L9   `dev` ignored the settings of ports
    L10  the tenant's status flapped while users were still throttled

B: from what people report in public of Graph, Entra, MSAL, gRPC and Redis

    B1   connections stayed with a demoted primary
    B2   a bad minute of Graph's ended consents
    B3   a wait of nothing made a flood of requests, and then a long pause
    B4   a refused account kept the standby from reading
    B5   one user whom Graph forbids blinded a page
    B7   refusals for a moment set users aside for ten minutes
    B8   a greater sequence number kept presence still for ever
    B9   another content under the same sequence number was not seen
    B10  a link to the next page that leads to itself lost the read
    B11  small pages lost the read
    B12  one broken part of a batch lost 299 names
    B13  a refused filter made known people unknown
    B15  a person made anew under the same name was not seen for a day
    B16  a store without memory was taken for a bug
    B17  slow tenants kept others waiting
    B18  Microsoft's refusal of admin consent was not understood
    B19  addresses beyond ASCII were taken and never written to
    B20  a password in a Redis URL that needs encoding was called a bug
    B21  a wrong clock was called a wrong credential
    B22  refusals by a policy had no row
    B24  an odd answer took a good refresh token's place
    B25  a clock minutes late failed onboarding without a reason
    B37  names were compared by rules that Microsoft does not have
    B51  files as Windows writes them were not understood
    B52  IPv6 addresses had another spelling for each listener
"""
