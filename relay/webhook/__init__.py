"""Receives Graph's change notifications. Empty until the relay subscribes to them: at present it reads by polling only."""
