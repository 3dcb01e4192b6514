"""Microsoft's own models take in subscriptions and what notifications carry with nothing left over.

The SDK for Python has no models of notifications themselves, nor helpers that open them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory

from tests.emulator.receiver import encryption, pushing
from tests.emulator.test_microsoft_sdk import left_over

# Importing the SDK's modules warns about the SDK's own older names.
pytestmark = [pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"), pytest.mark.long]

ADA = "ada@contoso.example"


def parsed(body: Any, model: Any) -> Any:
    """JSON as one of the SDK's models."""
    node = JsonParseNodeFactory().get_root_parse_node("application/json", json.dumps(body).encode())
    return node.get_object_value(model)


async def test_subscriptions_and_pushed_presences_are_as_microsofts_models_know_them(tmp_path: Path) -> None:
    from msgraph.generated.models.presence import Presence
    from msgraph.generated.models.subscription import Subscription
    from msgraph.generated.models.subscription_collection_response import SubscriptionCollectionResponse

    async with pushing(tmp_path, notification_content="presence") as push:
        made = await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle")
        push.cloud.act(ADA, "call")
        [item] = await push.receiver.wait_for(1)
        listed = (await push.get()).json()

    subscription = parsed(made, Subscription)
    presence = parsed(encryption().opened(item), Presence)
    assert subscription.expiration_date_time is not None
    assert list(left_over(subscription)) == []
    assert list(left_over(parsed(listed, SubscriptionCollectionResponse))) == []
    assert list(left_over(presence)) == []
    assert presence.activity == "InACall"
