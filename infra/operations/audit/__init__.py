"""The audit trail from the operator's side: reading it and proving that it is whole."""
