"""The control client. Its quick commands import only the standard library and the schema."""
