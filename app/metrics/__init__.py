"""What a process counts for Prometheus, where its family keeps it, and how it is shown.

Nothing here is imported where ENABLE_METRICS is off, or where nobody could read it.
"""
