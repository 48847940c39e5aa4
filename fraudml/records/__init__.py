"""What a command leaves behind: results, JSON records, tables, documents, run folders."""
