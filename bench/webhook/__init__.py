"""How soon the webhook answers, and how fast the worker opens notifications."""
