"""Custody as a file, and the way back.

file.py     The file of a backup: lines of which none opens without the private backup key, and none can be missing, changed or moved
restore.py  The way back from a backup. Everything is checked before anything is written; repeating a restore completes it
write.py    A backup of custody: tenants with their grants, suite keys and settings, and their audit logs
"""
