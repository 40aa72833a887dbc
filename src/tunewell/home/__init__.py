"""The home folder: where everything lies, whose it is, and who may write there."""
