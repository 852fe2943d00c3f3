"""Every SQL statement of the project, and the tables it speaks to."""
