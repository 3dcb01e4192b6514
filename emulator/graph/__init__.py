"""The parts of Microsoft Graph v1.0 that concern presence.

service.py        routes requests, alone and in $batch
access.py         the caller: bearer tokens, permissions, early end of a token
batch.py          $batch
presences.py      presence of one person, of many, and bulk reads in pages
users.py          users by id and UPN, lists and counts
delta.py          changes of users since an earlier read
directory.py      the organisation, objects by id, and what directory calls cost
userinfo.py       OpenID Connect's userinfo endpoint
subscriptions.py  subscriptions: create, list, read, renew, reauthorise, delete
subscription_requests.py  the bodies of subscriptions' requests, read and checked

properties.py     the properties of a user; user.toml lists all that Graph has
queries.py        $select, $filter, $search, $orderby, $top and $count of users
filters.py        the part of $filter that is understood
paths.py          the segments of a path, and the error for an unknown path
negotiation.py    the Accept header
throttle.py       the limits of presence and of the directory
errors.py         refusals in Graph's JSON
"""
