"""Tests of the suite's side, against a scripted relay over real TLS."""
