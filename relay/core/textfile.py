"""Reads text files in the encodings that people save them in, also on Windows."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE


def text_of(content: bytes) -> str:
    """Return a file's text, without white space around it and without a byte-order mark.

    The encoding is UTF-8, or UTF-16 with a byte-order mark, which `>` in Windows PowerShell writes.

    Raises:
        ValueError: the file has neither encoding.
    """
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding).strip()
