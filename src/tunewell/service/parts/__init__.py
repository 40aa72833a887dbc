"""The verbs of `tunewell.service.service.Service`, a module for each thing that they are about."""
