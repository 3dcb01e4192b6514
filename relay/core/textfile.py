"""Text files as people save them, also on Windows."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE


def text_of(content: bytes) -> str:
    """Return a file's text, without white space around it and without a byte-order mark.

    UTF-8, or UTF-16 where a byte-order mark says so, which is what `>` of Windows PowerShell writes.

    Raises:
        ValueError: it is neither.
    """
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding).strip()
