"""The control surface under /_emulator/: the operations of `cloud.py` as JSON over HTTP, for other processes."""
