"""Read and set the permissions of a file on Windows: rules on security descriptors as text (SDDL), and calls that get and set them.

    O:S-1-5-21-…-1001 D:PAI(A;;FA;;;SY)(A;;0x1200a9;;;BU)
      └ the owner     └ the list: each entry allows or denies rights to one account or group

Windows translates names of accounts into its language, but not SDDL. The rules are pure and tested on all systems. The calls run on
Windows only; on other systems they are checked for types.

Source: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-dtyp/f4296d69-1c0f-491f-9587-a960b292d070
"""

from __future__ import annotations

import re
import sys
from typing import Final

_ADMINISTRATORS: Final = frozenset({"SY", "S-1-5-18", "BA", "S-1-5-32-544"})
"""The system and its administrators, who can give themselves every right anyway."""
_THE_OWNER: Final = frozenset({"OW", "S-1-3-4"})
_RIGHTS: Final = {
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
    "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000,
    "GA": 0x10000000, "GX": 0x20000000, "GW": 0x40000000, "GR": 0x80000000,
    "FA": 0x1F01FF, "FR": 0x120089, "FW": 0x120116, "FX": 0x1200A0,
}  # fmt: skip
_ANY: Final = 0xFFFFFFFF
_OPENING: Final = 0x1 | 0x2 | 0x4 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000 | 0x80000000
"""Rights to read or change a file's content, or to obtain that right. Rights to its name and attributes are not included."""
_SID: Final = r"(S-[\d-]+|[A-Z]{2})"
_DESCRIPTOR: Final = re.compile(rf"(?:O:{_SID})?(?:G:{_SID})?D:([A-Z_]*)((?:\([^()]*\))*)")
"""Owner, group, flags, entries. Entries with a condition, which have nested brackets, do not match."""
_ALLOWS: Final = frozenset({"A", "OA", "XA", "ZA"})
_KNOWN: Final = _ALLOWS | {"D", "OD", "XD"}


def allows_others(sddl: str, account: str) -> bool:
    """Return True when a security descriptor lets others read or change a file, or when it cannot be parsed.

    Others are all accounts except the owner, this account, the system and its administrators. Entries that deny are ignored: an account
    that one entry denies a right and another allows it counts as allowed.

    Args:
        sddl: the security descriptor, with its owner and its list.
        account: the SID that the agent runs as, `S-1-5-…`.
    """
    found = _DESCRIPTOR.fullmatch(sddl)
    if found is None or "NO_ACCESS_CONTROL" in found[3]:
        return True
    trusted = _ADMINISTRATORS | _THE_OWNER | {account, found[1]}
    return any(_opens(entry, trusted) for entry in re.findall(r"\(([^()]*)\)", found[4]))


def private_list(account: str) -> str:
    """Return the access control list that gives all rights to an account, the system and its administrators, and none to others."""
    return f"D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;{account})"


def _opens(entry: str, trusted: frozenset[str | None]) -> bool:
    fields = entry.split(";")
    if len(fields) < 6 or fields[0] not in _KNOWN:
        return True
    kind, flags, rights, account = fields[0], fields[1], fields[2], fields[5]
    is_for_children_only = "IO" in re.findall("..", flags)
    return kind in _ALLOWS and not is_for_children_only and account not in trusted and bool(_mask_of(rights) & _OPENING)


def _mask_of(rights: str) -> int:
    """Return rights as bits. An unknown right counts as all of them."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", rights):
        return int(rights, 16)
    if rights.isdecimal() and len(rights) < 11:
        return int(rights)
    mask = 0
    for pair in re.findall("..?", rights):
        mask |= _RIGHTS.get(pair, _ANY)
    return mask


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    def descriptor_of(path: str) -> str:
        """Return the owner and the access control list of a file as SDDL.

        Raises:
            OSError: Windows refuses.
        """
        owner_and_list, file_object, revision = 1 | 4, 1, 1
        security = ctypes.WinDLL("advapi32", use_last_error=True)
        found, text = wintypes.LPVOID(), wintypes.LPWSTR()
        status = security.GetNamedSecurityInfoW(
            wintypes.LPCWSTR(path),
            file_object,
            wintypes.DWORD(owner_and_list),
            None,
            None,
            None,
            None,
            ctypes.byref(found),
        )
        if status:
            raise ctypes.WinError(status)
        try:
            if not security.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                found, wintypes.DWORD(revision), wintypes.DWORD(owner_and_list), ctypes.byref(text), None
            ):
                raise ctypes.WinError(ctypes.get_last_error())
            return _taken(text)
        finally:
            _free(found)

    def set_list(path: str, sddl: str) -> None:
        """Set a file's access control list from SDDL, without inheriting from its folder.

        Raises:
            OSError: Windows refuses.
        """
        protected_list, revision = 0x80000000 | 4, 1
        security = ctypes.WinDLL("advapi32", use_last_error=True)
        made = wintypes.LPVOID()
        if not security.ConvertStringSecurityDescriptorToSecurityDescriptorW(
            wintypes.LPCWSTR(sddl), wintypes.DWORD(revision), ctypes.byref(made), None
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            if not security.SetFileSecurityW(wintypes.LPCWSTR(path), wintypes.DWORD(protected_list), made):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _free(made)

    def this_account() -> str:
        """Return the SID of the account that this process runs as.

        Raises:
            OSError: Windows refuses.
        """
        query, user = 0x8, 1
        security = ctypes.WinDLL("advapi32", use_last_error=True)
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        token, size, text = wintypes.HANDLE(), wintypes.DWORD(), wintypes.LPWSTR()
        process = wintypes.HANDLE(kernel.GetCurrentProcess())
        if not security.OpenProcessToken(process, wintypes.DWORD(query), ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            # TOKEN_USER begins with a pointer to the SID, which follows in the same buffer. A SID has at most 68 bytes.
            buffer = (ctypes.c_void_p * 32)()
            if not security.GetTokenInformation(
                token, user, buffer, wintypes.DWORD(ctypes.sizeof(buffer)), ctypes.byref(size)
            ):
                raise ctypes.WinError(ctypes.get_last_error())
            if not security.ConvertSidToStringSidW(ctypes.c_void_p(buffer[0]), ctypes.byref(text)):
                raise ctypes.WinError(ctypes.get_last_error())
            return _taken(text)
        finally:
            kernel.CloseHandle(token)

    def _taken(text: wintypes.LPWSTR) -> str:
        """Copy a text that Windows allocated, and free it."""
        value = text.value or ""
        _free(ctypes.cast(text, wintypes.LPVOID))
        return value

    def _free(memory: ctypes.c_void_p) -> None:
        kernel = ctypes.WinDLL("kernel32")
        kernel.LocalFree.argtypes = (wintypes.HLOCAL,)
        kernel.LocalFree.restype = wintypes.HLOCAL
        kernel.LocalFree(memory)
