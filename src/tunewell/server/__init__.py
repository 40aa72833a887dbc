"""`tunewell serve`: the processes of a service, and what keeps them running."""
