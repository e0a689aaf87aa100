"""Where tables come from: one reader a kind of source, each giving rows as they stand."""
