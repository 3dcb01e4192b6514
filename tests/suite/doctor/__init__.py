"""Tests of the doctor: its rules as a table, its steps against small servers that are wrong in one way each."""
