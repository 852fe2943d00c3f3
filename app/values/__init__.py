"""What a value is: port types, checks, paths, copies. Pure: no I/O, no clock, no globals."""
