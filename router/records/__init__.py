"""What a gateway keeps in a database: outcomes, the ledger, keys and feedback.

SQLite or PostgreSQL, through SQLAlchemy; training reads the same tables.
"""
