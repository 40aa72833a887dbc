"""The web console: pages over the verbs, complete without scripts, live with them."""
