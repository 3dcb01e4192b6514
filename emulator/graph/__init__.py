"""Microsoft Graph v1.0, as far as presence goes.

service.py    routes, single and in $batch          errors.py    refusals in Graph's shape
access.py     bearer tokens and permissions         throttle.py  the presence limit
users.py      users by id, UPN and filter           filters.py   the part of $filter that is understood
presences.py  presence, single and bulk             batch.py     $batch
paths.py      what a path leads to, or that it does not
delta.py      changes of users since a while    negotiation.py  what a client accepts
properties.py what is known of a user, and user.toml: all that Graph has
queries.py    the query options of lists            subscriptions.py  subscriptions: create, list, renew, delete
directory.py  the organisation, objects by their ids  userinfo.py       `/oidc/userinfo`
"""
