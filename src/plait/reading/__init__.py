"""From what a cell names or holds to arrays: files found and opened, formats recognised, decoded, or refused."""
