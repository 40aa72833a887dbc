"""What browsers may do with pages and scripts of the console."""

from __future__ import annotations

#: Nothing that is not ours, and no text becomes markup but through one function.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types tunewell"
)
