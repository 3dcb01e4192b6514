"""A phone of PJSIP that watches users: run by the interpreter of `.venv/sip/pjsip`, never imported.

`python pjsip_phone.py PROXY USER PASSWORD URI…` prints a line of JSON for each state that a user has, until its input ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading

import pjsua2


class Watched(pjsua2.Buddy):  # type: ignore[misc]
    """A user of the phone's list."""

    def onBuddyState(self) -> None:  # noqa: N802 - of PJSIP
        """Tell the state."""
        info = self.getInfo()
        status = info.presStatus
        said = {"uri": info.uri, "subscription": info.subStateName, "status": status.status, "text": status.statusText}
        sys.stdout.write(json.dumps({**said, "activity": status.activity, "note": status.note}) + "\n")
        sys.stdout.flush()


def watch(proxy: str, user: str, password: str, uris: list[str]) -> None:
    """Watch users through a proxy."""
    endpoint = pjsua2.Endpoint()
    endpoint.libCreate()
    config = pjsua2.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    endpoint.libInit(config)
    transport = pjsua2.TransportConfig()
    transport.boundAddress = "127.0.0.1"
    kind = pjsua2.PJSIP_TRANSPORT_TCP if "transport=tcp" in proxy else pjsua2.PJSIP_TRANSPORT_UDP
    endpoint.transportCreate(kind, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    account_config = pjsua2.AccountConfig()
    account_config.idUri = f"sip:{user}@pbx.example"
    account_config.sipConfig.proxies.append(f"<{proxy};lr>")
    account_config.sipConfig.authCreds.append(pjsua2.AuthCredInfo("digest", "*", user, 0, password))
    account = pjsua2.Account()
    account.create(account_config)
    watched = []
    for uri in uris:
        buddy = Watched()
        buddy_config = pjsua2.BuddyConfig()
        buddy_config.uri, buddy_config.subscribe = uri, True
        buddy.create(account, buddy_config)
        watched.append(buddy)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        endpoint.libHandleEvents(50)


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    sys.stdout.flush()
    # Its destructors and those of Python do not agree on the order.
    os._exit(0)
