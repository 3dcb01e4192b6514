"""What stands between the parts of a relay in tests of many kinds."""
