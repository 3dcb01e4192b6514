"""Report the state of a phone to the agent, as a connector of a PBX does.

python phone.py http://127.0.0.1:8790 EXTENSION idle|ringing|busy|do_not_disturb|forwarded_to_voicemail|forwarded_to_number|unknown
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def main() -> None:
    """Report one state, and print the agent's answer."""
    if len(sys.argv) != 4:
        sys.exit("usage: phone.py URL EXTENSION STATE")
    agent, extension, state = sys.argv[1:]
    # A connector repeats the state before `expires_s`, so a state does not persist after the connector has died.
    told = {"user": extension, "state": state, "sequence": time.time_ns() // 1_000_000, "expires_s": 600}
    body = json.dumps({"connector": "example", "states": [told]}).encode()
    connection = http.client.HTTPConnection(urlsplit(agent).netloc, timeout=10)
    try:
        connection.request("POST", "/v1/telephony", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"The agent does not answer: {error}")
    if response.status != 200:
        sys.exit(f"refused: {json.loads(answer)['error']['message']}")
    print(answer)


if __name__ == "__main__":
    main()
