"""Many runs from one command: jobs in separate processes, a search over values, tables of the results."""
