"""What the page of results shows: the best trials side by side, how good each is, what can be made of them."""
