"""What an analyst asks: figures with their definitions, lineage, quality."""
