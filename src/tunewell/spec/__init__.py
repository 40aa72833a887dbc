"""Plain, validated data that all other packages speak in: search spaces, specs, states, launches, errors."""
