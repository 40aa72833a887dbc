"""What users bring: uploads, what is unpacked of them, data sets, and code."""
