"""Custody as a file, and restoring from it.

write.py    A backup of custody: tenants with their grants, suite keys and settings, and their audit logs
file.py     The encrypted and signed file of a backup
restore.py  Restoring from a backup; the whole backup is checked before the first write
"""
