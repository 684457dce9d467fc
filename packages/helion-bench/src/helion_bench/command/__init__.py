"""The command line: one command a file, each a function that scripts may call without a shell."""
