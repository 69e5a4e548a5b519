"""The command line: thin; it parses, calls one function and reports. Stages are imported inside commands."""
