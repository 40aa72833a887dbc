"""Where trials and jobs run: on this machine in processes of their own (`local`), or in the controller's thread
(`inline`).

::

    LocalScheduler ── socket ──► fork server (one for each set of preloaded modules)
          │                          │ fork
          │ reads                    ▼
          │                      supervisor (one for each attempt) ── fork ──► trial
          ▼                          │                                           │
    the attempt's folder  ◄──────────┴─────── launch.json, reports.jsonl, …  ◄───┘

Scheduler and fork server may die at any time; supervisor and trial live on, and a later scheduler takes them over by
what lies in the attempt's folder. What all of them hold of the machine is in the home's file of claims.
"""
