"""What the local Microsoft cloud costs: bulk reads of 650, beside a bare server that returns the same bytes."""
