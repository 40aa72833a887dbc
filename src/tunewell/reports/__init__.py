"""What a search brought, for people: charts and a one-file HTML report."""
