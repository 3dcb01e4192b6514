"""The reasons for which a stream ends: the comments of the protos, with the codes and waits of the edge."""

from __future__ import annotations

import re
from typing import Final

from relay.edge.errors import advice
from tests.references.protocol import cell, commented

_HEAD: Final = """# Errors

A stream ends with a gRPC code and a `google.rpc.ErrorInfo`, whose `domain` is `presence.relay` and whose `reason` is in this table. *Wait* is what
`google.rpc.RetryInfo` advises. Act by the reason, and by the code when you do not know the reason. The [guide](../suites.md#errors) also lists
what the transport refuses. This page is generated: `make docs`.

| reason | code | wait | meaning and what to do | metadata |
| --- | --- | --- | --- | --- |
"""
_ENUM: Final = (5, 0)  # the path of the file's only enum
_EXAMPLE: Final = re.compile(r"\s*Example: .*?\"metadata\": \{(.*?)\} \}\s*$", re.DOTALL)


def errors_page() -> str:
    """Return the page of error reasons."""
    of = commented("error_reason.proto")
    by_reason = advice()
    rows = []
    for at, value in enumerate(of.file.enum_type[0].value):
        if value.number == 0:
            continue
        text = of.comment(*_ENUM, 2, at)
        code, wait = by_reason[value.name]
        example = _EXAMPLE.search(text)
        metadata = example[1].strip() if example is not None else ""
        shown = "" if wait is None else f"{wait.total_seconds():g} s"
        without_code = re.sub(
            rf"\s+Code\s+{code.name}(?:, with RetryInfo)?(; also ends|\.)", _rest, _EXAMPLE.sub("", text)
        )
        rows.append(
            f"| `{value.name}` | `{code.name}` | {shown} | {cell(without_code)} | {f'`{metadata}`' if metadata else ''} |"
        )
    return _HEAD + "\n".join(rows) + "\n"


def _rest(found: re.Match[str]) -> str:
    """Return what stays of the sentence about the code, which has a column of its own."""
    return " Also ends" if found[1] == "; also ends" else ""
