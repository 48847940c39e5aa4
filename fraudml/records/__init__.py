"""Results of commands: JSON records, closing tables, documents, run folders."""
