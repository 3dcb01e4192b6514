"""The parts of Microsoft Graph v1.0 that concern presence.

service.py        routes requests, alone and in $batch
access.py         the caller: bearer tokens, permissions, early end of a token
batch.py          $batch
presences.py      presence of one person, of many, and bulk reads in pages
users.py          users by id and UPN, lists and counts
delta.py          changes of users since an earlier read
directory.py      the organisation, objects by id, and the cost of directory calls
userinfo.py       OpenID Connect's userinfo endpoint
subscriptions.py  subscriptions: create, list, read, renew, reauthorise, delete
subscription_requests.py  reads and checks the bodies of requests for subscriptions

properties.py     the properties of a user; user.toml lists all properties in Graph
queries.py        $select, $filter, $search, $orderby, $top and $count of users
filters.py        the supported part of $filter
paths.py          the segments of a path, and the error for an unknown path
negotiation.py    the Accept header
throttle.py       the limits of presence and of the directory
errors.py         refusals in Graph's JSON
"""
