"""Tests of the conformance kit, which is in `relay.dev.conformance`."""
