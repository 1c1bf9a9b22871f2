"""Experiments: what the warehouse's figures by listener say of the arms."""
