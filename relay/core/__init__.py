"""Rules and values of the relay. Pure: no I/O, no clocks (`now` is an argument), no third-party imports."""
