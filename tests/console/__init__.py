"""The operator's console: sign-in, pages, what it changes, and what it refuses."""
