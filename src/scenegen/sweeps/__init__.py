"""Many runs from one command: jobs in processes of their own, a search over values, what came out of all of them."""
