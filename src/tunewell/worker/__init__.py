"""The ready-made worker: asks a service for trials and runs a program for each, under a supervisor."""
