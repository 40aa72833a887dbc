"""The verbs over HTTP: routes, sign-in, rights, event streams, problem documents."""
