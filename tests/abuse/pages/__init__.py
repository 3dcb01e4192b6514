"""Attacks on the pages: who becomes a tenant, and who can keep others out."""
