"""What an operator does to plays that are already in Segue: import, replay, erase, audit."""
